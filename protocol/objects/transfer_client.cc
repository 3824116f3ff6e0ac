// SPDX-License-Identifier: Apache-2.0
#include "protocol/objects/transfer_client.h"

#include <algorithm>
#include <utility>

#include "common/digest_of_file.h"
#include "common/error.h"

namespace hemafed::wire {

struct TransferClient::Job {
  bool upload = false;
  Digest digest;
  Path path;  // The file to send, or where the object is wanted.
  std::uint64_t total = 0;
  // Whether the coordinator has answered since we last asked. Only then is it worth asking again.
  bool answered = false;

  // Upload.
  std::unique_ptr<ReadableFile> file;
  std::uint64_t next = 0;   // First byte not sent.
  std::uint64_t acked = 0;  // What the coordinator has.

  // Download.
  std::optional<PartFile> part;
};

namespace {

Path PartPathOf(const Path& target) { return target.string() + ".part"; }

}  // namespace

TransferClient::TransferClient(FileSystem& files) : files_(files) {}
TransferClient::~TransferClient() = default;

std::vector<Message> TransferClient::Upload(const Path& file, const Digest& digest) {
  auto job = std::make_unique<Job>();
  job->upload = true;
  job->digest = digest;
  job->path = file;
  return Queue(std::move(job));
}

std::vector<Message> TransferClient::Download(const Digest& digest, std::uint64_t size, const Path& target) {
  if (size > kMaxObjectBytes) {
    throw Error(ErrorCode::kInvalidInput, "object " + digest.Hex() + " is said to have " + std::to_string(size) +
                                              " bytes, more than the " + std::to_string(kMaxObjectBytes) + " allowed");
  }
  auto job = std::make_unique<Job>();
  job->digest = digest;
  job->path = target;
  job->total = size;
  return Queue(std::move(job));
}

std::vector<Message> TransferClient::Queue(std::unique_ptr<Job> job) {
  const bool present = std::any_of(queue_.begin(), queue_.end(), [&](const auto& other) {
    return other->digest == job->digest && other->upload == job->upload;
  });
  if (present) return {};
  queue_.push_back(std::move(job));
  return queue_.size() == 1 ? Ask() : std::vector<Message>{};
}

// Opens what the first job needs, if it is not open yet, and asks for it.
std::vector<Message> TransferClient::Ask() {
  if (queue_.empty()) return {};
  Job& job = *queue_.front();
  job.answered = false;
  if (job.upload) {
    if (!job.file) {
      job.file = files_.OpenForRead(job.path);
      job.total = job.file->Size();
    }
    return {Put{job.digest, job.total}};
  }
  if (!job.part) {
    job.part.emplace(files_, PartPathOf(job.path), job.digest);
    if (job.part->size() > job.total) {
      job.part->Discard();
      job.part.emplace(files_, PartPathOf(job.path), job.digest);
    }
  }
  if (job.part->size() == job.total) return FinishDownload();
  return {Get{job.digest, job.part->size(), static_cast<std::uint32_t>(job.total - job.part->size())}};
}

bool TransferClient::Handles(const Message& message) const noexcept {
  if (const auto* refusal = std::get_if<Refusal>(&message)) {
    return !queue_.empty() && refusal->subject == queue_.front()->digest;
  }
  return std::holds_alternative<Chunk>(message) || std::holds_alternative<PutStatus>(message);
}

std::vector<Message> TransferClient::Handle(const Message& message) {
  if (const auto* chunk = std::get_if<Chunk>(&message)) return OnChunk(*chunk);
  if (const auto* status = std::get_if<PutStatus>(&message)) return OnPutStatus(*status);
  if (const auto* refusal = std::get_if<Refusal>(&message); refusal && Handles(message)) return OnRefusal(*refusal);
  return {};
}

std::vector<Message> TransferClient::OnReconnect() { return Ask(); }

std::vector<Message> TransferClient::OnChunk(const Chunk& chunk) {
  // Every chunk is acknowledged, also one that nobody waits for (any more): it holds credit until then.
  std::vector<Message> out{ChunkAck{chunk.digest, chunk.offset + chunk.data.size()}};
  if (queue_.empty() || queue_.front()->upload || queue_.front()->digest != chunk.digest) return out;
  Job& job = *queue_.front();
  if (!job.part || chunk.offset < job.part->size()) return out;  // Had it before a reconnection.
  const auto add = [&](std::vector<Message> more) {
    for (Message& message : more) out.push_back(std::move(message));
    return std::move(out);
  };
  const std::uint64_t expected = std::min<std::uint64_t>(kChunkBytes, job.total - job.part->size());
  if (chunk.offset > job.part->size()) return job.answered ? add(Ask()) : std::move(out);  // One before it was lost.
  if (chunk.total != job.total || chunk.data.size() != expected) {
    return add(End(Refusal{RefusalCode::kDigestMismatch, "the coordinator sent chunks of another size", job.digest}));
  }
  job.answered = true;
  job.part->Append(chunk.data);
  return job.part->size() == job.total ? add(FinishDownload()) : std::move(out);
}

std::vector<Message> TransferClient::FinishDownload() {
  Job& job = *queue_.front();
  if (!job.part->FinishAndVerify()) {
    job.part->Discard();
    return End(Refusal{RefusalCode::kDigestMismatch, "the object received has another digest than the one asked for",
                       job.digest});
  }
  files_.Rename(job.part->path(), job.path);
  files_.SyncDirectory(job.path.parent_path());
  return End(std::nullopt);
}

std::vector<Message> TransferClient::OnPutStatus(const PutStatus& status) {
  if (queue_.empty() || !queue_.front()->upload || queue_.front()->digest != status.digest) return {};
  Job& job = *queue_.front();
  if (status.complete) {
    job.acked = job.total;
    return End(std::nullopt);
  }
  if (status.offset % kChunkBytes != 0 || status.offset > job.total || status.credit > kMaxUploadWindow) {
    return End(Refusal{RefusalCode::kBadContent, "the coordinator's answer to put does not fit the file", job.digest});
  }
  if (!std::exchange(job.answered, true)) job.next = status.offset;
  job.next = std::max(job.next, status.offset);  // Another site may have sent the beginning meanwhile.
  job.acked = status.offset;
  const std::uint64_t limit = std::min(job.total, status.offset + std::uint64_t{status.credit} * kChunkBytes);
  std::vector<Message> out;
  while (job.next < limit) {
    Chunk chunk{job.digest, job.next, job.total,
                Bytes(static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, job.total - job.next)))};
    if (job.file->ReadAt(job.next, chunk.data) != chunk.data.size()) {
      throw Error(ErrorCode::kCorrupt, job.path.string() + " became shorter while it was being sent; make it again");
    }
    job.next += chunk.data.size();
    out.emplace_back(std::move(chunk));
  }
  return out;
}

std::vector<Message> TransferClient::OnRefusal(const Refusal& refusal) {
  // The coordinator forgot (it restarted, or took back credit): ask again, unless that question is already on its way.
  if (refusal.code == RefusalCode::kUnknownTransfer) return queue_.front()->answered ? Ask() : std::vector<Message>{};
  return End(refusal);
}

std::vector<Message> TransferClient::End(std::optional<Refusal> refusal) {
  results_.push_back({queue_.front()->digest, std::move(refusal)});
  queue_.pop_front();
  return Ask();
}

std::optional<TransferResult> TransferClient::NextResult() {
  if (results_.empty()) return std::nullopt;
  TransferResult result = std::move(results_.front());
  results_.pop_front();
  return result;
}

std::uint64_t TransferClient::done_bytes() const {
  if (queue_.empty()) return 0;
  const Job& job = *queue_.front();
  return job.upload ? job.acked : job.part ? job.part->size() : 0;
}

std::uint64_t TransferClient::total_bytes() const { return queue_.empty() ? 0 : queue_.front()->total; }

}  // namespace hemafed::wire
