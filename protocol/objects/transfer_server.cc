// SPDX-License-Identifier: Apache-2.0
#include "protocol/objects/transfer_server.h"

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace hemafed::wire {

namespace {

std::uint64_t ChunksIn(std::uint64_t bytes) { return (bytes + kChunkBytes - 1) / kChunkBytes; }

std::size_t ChunkSizeAt(std::uint64_t offset, std::uint64_t end) {
  return static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, end - offset));
}

}  // namespace

TransferServer::TransferServer(const ObjectStore& gets, ObjectStore& puts, const Clock& clock,
                               AuthoriseTransfer authorise)
    : gets_(gets), puts_(puts), clock_(clock), authorise_(std::move(authorise)) {}

bool TransferServer::Handles(const Message& message) noexcept {
  return std::holds_alternative<Have>(message) || std::holds_alternative<Get>(message) ||
         std::holds_alternative<ChunkAck>(message) || std::holds_alternative<Put>(message) ||
         std::holds_alternative<Chunk>(message);
}

std::uint32_t TransferServer::Site::Held() const {
  return static_cast<std::uint32_t>(unacknowledged.size()) + (upload ? upload->granted : 0);
}

bool TransferServer::Site::WantsToSend() const { return download && download->next < download->end; }

bool TransferServer::Site::WantsToReceive() const {
  return upload && upload->part && upload->granted < ChunksIn(upload->total - upload->part->size());
}

PutStatus TransferServer::StatusOf(const Upload& upload) {
  return {upload.digest, upload.part ? upload.part->size() : 0, upload.granted, false};
}

std::uint32_t TransferServer::credits_in_use() const {
  std::uint32_t sum = 0;
  for (const auto& [user, site] : sites_) sum += site.Held();
  return sum;
}

std::vector<Outgoing> TransferServer::Handle(const std::string& user, const Message& message) {
  if (!Handles(message)) throw Error(ErrorCode::kInternal, "the object transfer was given a message of another kind");
  Messages out;
  std::visit(
      [&](const auto& fields) {
        if constexpr (requires { On(user, fields, out); }) On(user, fields, out);
      },
      message);
  Distribute(out);
  return out;
}

bool TransferServer::Authorised(const TransferRequest& request, Messages& out) {
  auto refusal = authorise_(request);
  if (!refusal) return true;
  refusal->subject = request.digest;
  out.push_back({request.user, std::move(*refusal)});
  return false;
}

void TransferServer::On(const std::string& user, const Have& have, Messages& out) {
  if (!Authorised({TransferRequest::Kind::kGet, user, have.digest, 0}, out)) return;
  try {
    const auto size = gets_.SizeOf(have.digest);
    out.push_back({user, HaveReply{have.digest, size.has_value(), size.value_or(0)}});
  } catch (const Error& error) {
    ReportDisk(user, have.digest, error, out);
  }
}

void TransferServer::On(const std::string& user, const Get& get, Messages& out) {
  if (!Authorised({TransferRequest::Kind::kGet, user, get.digest, 0}, out)) return;
  const auto refuse = [&](RefusalCode code, const char* text) {
    out.push_back({user, Refusal{code, text, get.digest}});
  };
  try {
    const auto total = gets_.SizeOf(get.digest);
    if (!total) return refuse(RefusalCode::kUnknownObject, "this object is not here");
    if (get.offset % kChunkBytes != 0 || get.offset >= *total || get.bytes == 0) {
      return refuse(RefusalCode::kBadContent, "get asks for bytes that are no chunk of the object");
    }
    sites_[user].download = Download{get.digest, gets_.OpenForRead(get.digest), *total, get.offset,
                                     get.offset + std::min<std::uint64_t>(get.bytes, *total - get.offset)};
  } catch (const Error& error) {
    return ReportDisk(user, get.digest, error, out);
  }
  sites_[user].progress_ms = clock_.MonotonicMs();
}

void TransferServer::On(const std::string& user, const ChunkAck& ack, Messages& out) {
  const auto found = sites_.find(user);
  if (found != sites_.end()) {
    auto& sent = found->second.unacknowledged;
    const auto match = std::find_if(sent.begin(), sent.end(), [&](const SentChunk& chunk) {
      return chunk.digest == ack.digest && chunk.end == ack.offset;
    });
    if (match != sent.end()) {
      sent.erase(sent.begin(), match + 1);  // What was sent before it has arrived before it.
      found->second.progress_ms = clock_.MonotonicMs();
      return;
    }
  }
  out.push_back({user, Refusal{RefusalCode::kUnknownTransfer, "no such chunk is under way; ask again", ack.digest}});
}

void TransferServer::On(const std::string& user, const Put& put, Messages& out) {
  if (put.size > kMaxObjectBytes) {
    out.push_back({user, Refusal{RefusalCode::kTooLarge,
                                 "an object has at most " + std::to_string(kMaxObjectBytes) + " bytes", put.digest}});
    return;
  }
  if (!Authorised({TransferRequest::Kind::kPut, user, put.digest, put.size}, out)) return;
  Site& site = sites_[user];
  EndUpload(site, out);
  try {
    if (const auto stored = puts_.SizeOf(put.digest)) {
      if (*stored == put.size) {
        out.push_back({user, PutStatus{put.digest, put.size, 0, true}});
      } else {
        out.push_back(
            {user, Refusal{RefusalCode::kDigestMismatch, "the object with this digest has another size", put.digest}});
      }
      return;
    }
  } catch (const Error& error) {
    return ReportDisk(user, put.digest, error, out);
  }
  site.upload = Upload{put.digest, put.size, std::nullopt, 0};
  site.progress_ms = clock_.MonotonicMs();
  untold_.insert(user);
  StartUpload(put.digest, out);
}

void TransferServer::StartUpload(const Digest& digest, Messages& out) {
  const auto puts_it = [&](const auto& entry) { return entry.second.upload && entry.second.upload->digest == digest; };
  const auto writes_it = [&](const auto& entry) { return puts_it(entry) && entry.second.upload->part; };
  if (std::any_of(sites_.begin(), sites_.end(), writes_it)) return;
  const auto first = std::find_if(sites_.begin(), sites_.end(), puts_it);
  if (first == sites_.end()) return;
  auto& [user, site] = *first;
  try {
    site.upload->part.emplace(puts_.OpenPart(digest));
    if (site.upload->part->size() > site.upload->total) {
      // Left by an attempt that announced another size: whatever it is, it is not this object.
      site.upload->part.reset();
      puts_.DiscardPart(digest);
      site.upload->part.emplace(puts_.OpenPart(digest));
    }
  } catch (const Error& error) {
    return ReportDisk(user, digest, error, out);
  }
  untold_.insert(user);
  if (site.upload->part->size() == site.upload->total) Complete(user, out);
}

void TransferServer::On(const std::string& user, const Chunk& chunk, Messages& out) {
  const auto found = sites_.find(user);
  Upload* upload = found != sites_.end() && found->second.upload ? &*found->second.upload : nullptr;
  if (upload == nullptr || upload->digest != chunk.digest) {
    out.push_back({user, Refusal{RefusalCode::kUnknownTransfer, "no put of this object is under way", chunk.digest}});
    return;
  }
  const bool whole = chunk.total == upload->total && chunk.offset % kChunkBytes == 0 && chunk.offset < chunk.total &&
                     chunk.data.size() == ChunkSizeAt(chunk.offset, chunk.total);
  if (!whole) {
    return FailUpload(user, {RefusalCode::kBadContent, "a chunk does not fit the object that was announced", {}}, out);
  }
  if (upload->part && chunk.offset < upload->part->size()) return;  // Sent again after a reconnection.
  if (!upload->part || upload->granted == 0 || chunk.offset > upload->part->size()) {
    return FailUpload(user, {RefusalCode::kUnknownTransfer, "a chunk came that was not asked for; put again", {}}, out);
  }
  try {
    upload->part->Append(chunk.data);
  } catch (const Error& error) {
    return ReportDisk(user, chunk.digest, error, out);
  }
  --upload->granted;
  found->second.progress_ms = clock_.MonotonicMs();
  untold_.insert(user);
  if (upload->part->size() == upload->total) Complete(user, out);
}

void TransferServer::Complete(const std::string& user, Messages& out) {
  Upload& upload = *sites_.at(user).upload;
  const Digest digest = upload.digest;
  const std::uint64_t total = upload.total;
  try {
    puts_.CommitPart(std::move(*upload.part));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorrupt) return ReportDisk(user, digest, error, out);
    upload.part.reset();
    return FailUpload(user, {RefusalCode::kDigestMismatch, "the bytes received have another digest", {}}, out);
  }
  completed_.push_back(digest);
  for (auto& [other, site] : sites_) {
    if (!site.upload || site.upload->digest != digest) continue;
    out.push_back({other, PutStatus{digest, total, 0, true}});
    site.upload.reset();
    untold_.erase(other);
  }
}

void TransferServer::EndUpload(Site& site, Messages& out) {
  if (!site.upload) return;
  const Digest digest = site.upload->digest;
  site.upload.reset();
  StartUpload(digest, out);
}

void TransferServer::FailUpload(const std::string& user, Refusal refusal, Messages& out) {
  Site& site = sites_.at(user);
  refusal.subject = site.upload->digest;
  out.push_back({user, std::move(refusal)});
  untold_.erase(user);
  EndUpload(site, out);
}

void TransferServer::ReportDisk(const std::string& user, const Digest& digest, const Error& error, Messages& out) {
  storage_errors_.push_back(error);
  Site& site = sites_[user];
  const bool full = error.code() == ErrorCode::kNoSpace;
  const RefusalCode code = full ? RefusalCode::kNoSpace : RefusalCode::kStorageFailed;
  const char* text = full ? "the coordinator's disk is full; its operator has been told"
                          : "the coordinator's disk failed; its operator has been told";
  if (site.upload && site.upload->digest == digest) {
    site.upload->part.reset();
    try {
      if (full) puts_.DiscardPart(digest);
    } catch (const Error& second) {
      storage_errors_.push_back(second);
    }
    return FailUpload(user, {code, text, {}}, out);
  }
  site.download.reset();
  out.push_back({user, Refusal{code, text, digest}});
}

void TransferServer::SendChunk(const std::string& user, Site& site, Messages& out) {
  Download& download = *site.download;
  Chunk chunk{download.digest, download.next, download.total, Bytes(ChunkSizeAt(download.next, download.end))};
  try {
    if (download.file->ReadAt(download.next, chunk.data) != chunk.data.size()) {
      throw Error(ErrorCode::kCorrupt, "object " + download.digest.Hex() + " is shorter than it was; restore it");
    }
  } catch (const Error& error) {
    return ReportDisk(user, download.digest, error, out);
  }
  download.next += chunk.data.size();
  site.unacknowledged.push_back({download.digest, download.next});
  if (download.next == download.end) site.download.reset();
  out.push_back({user, std::move(chunk)});
}

// Of the sites that want credit and may have more, the one that has least; among equals the next in turn.
std::map<std::string, TransferServer::Site>::iterator TransferServer::NextInTurn() {
  auto best = sites_.end();
  auto candidate = sites_.upper_bound(last_served_);
  for (std::size_t i = 0; i < sites_.size(); ++i, ++candidate) {
    if (candidate == sites_.end()) candidate = sites_.begin();
    const Site& site = candidate->second;
    if (site.Held() >= kCreditsPerSite || (!site.WantsToSend() && !site.WantsToReceive())) continue;
    if (best == sites_.end() || site.Held() < best->second.Held()) best = candidate;
  }
  return best;
}

void TransferServer::Distribute(Messages& out) {
  while (credits_in_use() < kTransferCredits) {
    const auto next = NextInTurn();
    if (next == sites_.end()) break;
    auto& [user, site] = *next;
    last_served_ = user;
    if (site.Held() == 0) site.progress_ms = clock_.MonotonicMs();
    // A site that does both has a share for each.
    const bool receive =
        site.WantsToReceive() && (!site.WantsToSend() || site.upload->granted <= site.unacknowledged.size());
    if (receive) {
      ++site.upload->granted;
      untold_.insert(user);
    } else {
      SendChunk(user, site, out);
    }
  }
  for (const std::string& user : std::exchange(untold_, {})) {
    const auto found = sites_.find(user);
    if (found != sites_.end() && found->second.upload) out.push_back({user, StatusOf(*found->second.upload)});
  }
}

std::vector<Outgoing> TransferServer::DropPeer(const std::string& user) {
  Messages out;
  const auto found = sites_.find(user);
  if (found == sites_.end()) return out;
  found->second.download.reset();
  found->second.unacknowledged.clear();
  EndUpload(found->second, out);
  untold_.erase(user);
  sites_.erase(found);
  Distribute(out);
  return out;
}

std::vector<Outgoing> TransferServer::ReclaimStalled() {
  const auto waits = [](const auto& entry) {
    const Site& site = entry.second;
    return (site.upload && !site.upload->part) || (site.Held() == 0 && (site.WantsToSend() || site.WantsToReceive()));
  };
  if (std::none_of(sites_.begin(), sites_.end(), waits)) return {};
  std::vector<std::string> stalled;
  for (const auto& [user, site] : sites_) {
    if (site.Held() > 0 && clock_.MonotonicMs() - site.progress_ms > kStallMs) stalled.push_back(user);
  }
  Messages out;
  for (const std::string& user : stalled) {
    for (Outgoing& message : DropPeer(user)) out.push_back(std::move(message));
  }
  return out;
}

std::vector<Digest> TransferServer::TakeCompleted() { return std::exchange(completed_, {}); }

std::vector<Error> TransferServer::TakeStorageErrors() { return std::exchange(storage_errors_, {}); }

std::vector<TransferProgress> TransferServer::progress() const {
  std::vector<TransferProgress> all;
  for (const auto& [user, site] : sites_) {
    if (site.download) {
      all.push_back(
          {user, TransferRequest::Kind::kGet, site.download->digest, site.download->next, site.download->total});
    }
    if (site.upload) {
      const std::uint64_t done = site.upload->part ? site.upload->part->size() : 0;
      all.push_back({user, TransferRequest::Kind::kPut, site.upload->digest, done, site.upload->total});
    }
  }
  return all;
}

}  // namespace hemafed::wire
