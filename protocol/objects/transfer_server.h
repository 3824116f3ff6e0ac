// protocol/objects/transfer_server.h
// SPDX-License-Identifier: Apache-2.0
//
// The coordinator's side of moving objects, as a state machine without sockets: a message of a site goes in, messages
// to sites come out. docs/wire.md draws the exchange.
//
// Reading (site gets):   Get -> Chunk, Chunk, ...; each Chunk is answered by a ChunkAck, which frees its credit.
// Writing (site puts):   Put -> PutStatus(offset, credit); the site may have chunks under way from `offset` up to
//                        offset + credit * kChunkBytes; each Chunk received moves that window on with a new PutStatus;
//                        the last one says complete, after the bytes were hashed, synced and stored.
//
// Credit is one chunk under way, in either direction. There are kTransferCredits over all sites together, which bounds
// the memory of both ends whatever their number. Free credit goes to the waiting site that holds
// least, in turn; a site holds at most kCreditsPerSite, so that one that stalls does not stop the others. DropPeer (its
// connection ended) and ReclaimStalled (it stays silent while others wait) take credit back. The site's part stays: it
// asks again and goes on.
//
// A site has at most one Get and one Put under way; a new one replaces the old. An object being written belongs to one
// site at a time; another that puts the same one waits and finds it complete. A chunk that has no place (no Put, no
// credit, a gap) ends the put with the refusal kUnknownTransfer: the site asks again and both agree on the offset.
//
// Sites get from one store and put into another, so that what a site sends is not handed out before somebody looked.
// Who may get or put which object is decided by the caller's function, for each Get (and Have) and each Put.
//
// Errors: what a site does wrong is answered with a Refusal and changes nothing. A full disk is answered with kNoSpace
// (the part is removed), any other failure of the disk with kStorageFailed; both are also reported by
// TakeStorageErrors.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/error.h"
#include "protocol/objects/object_store.h"
#include "protocol/wire/messages.h"

namespace hemafed::wire {

// Design §11.11: with chunks of 1 MiB this is what lets the coordinator stay below 64 MB.
inline constexpr std::uint32_t kTransferCredits = 16;
// Half, so that a second site always finds some at once. 8 MiB under way fill 0.6 Gbit/s at 100 ms.
inline constexpr std::uint32_t kCreditsPerSite = 8;
// A site that holds credit, moves no byte for this long and keeps others waiting loses it. Longer than one chunk takes
// on the slowest link we support.
inline constexpr std::int64_t kStallMs = 90'000;

struct TransferRequest {
  enum class Kind { kGet, kPut };
  Kind kind = Kind::kGet;
  std::string user;
  Digest digest;
  std::uint64_t size = 0;  // Announced size of a put.
};
// Nothing: allowed. A Refusal: what the site is told.
using AuthoriseTransfer = std::function<std::optional<Refusal>(const TransferRequest&)>;

struct Outgoing {
  std::string user;
  Message message;
};

struct TransferProgress {
  std::string user;
  TransferRequest::Kind kind = TransferRequest::Kind::kGet;
  Digest digest;
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;
};

class TransferServer {
 public:
  // The stores and the clock are borrowed; both stores may be the same.
  TransferServer(const ObjectStore& gets, ObjectStore& puts, const Clock& clock, AuthoriseTransfer authorise);

  // Have, Get, ChunkAck, Put and Chunk; Handle throws Error(kInternal) for others.
  [[nodiscard]] static bool Handles(const Message& message) noexcept;
  [[nodiscard]] std::vector<Outgoing> Handle(const std::string& user, const Message& message);

  // The user's connection ended. Returns what others may now be sent.
  [[nodiscard]] std::vector<Outgoing> DropPeer(const std::string& user);
  // Call now and then (every second or so).
  [[nodiscard]] std::vector<Outgoing> ReclaimStalled();

  // Objects that were completed by a put since the last call.
  [[nodiscard]] std::vector<Digest> TakeCompleted();
  // Disk errors since the last call, for the operator's log.
  [[nodiscard]] std::vector<Error> TakeStorageErrors();

  [[nodiscard]] std::vector<TransferProgress> progress() const;
  [[nodiscard]] std::uint32_t credits_in_use() const;

 private:
  struct Download {
    Digest digest;
    std::unique_ptr<ReadableFile> file;
    std::uint64_t total = 0;
    std::uint64_t next = 0;  // First byte not sent yet.
    std::uint64_t end = 0;   // Where this request ends.
  };
  struct Upload {
    Digest digest;
    std::uint64_t total = 0;
    std::optional<PartFile> part;  // Nothing while another site writes the same object.
    std::uint32_t granted = 0;     // Chunks the site may have under way from part->size() on.
  };
  struct SentChunk {
    Digest digest;
    std::uint64_t end = 0;
  };
  struct Site {
    std::optional<Download> download;
    std::optional<Upload> upload;
    std::deque<SentChunk> unacknowledged;  // Each holds one credit, also after its download was replaced.
    std::int64_t progress_ms = 0;          // When a byte last advanced, monotonic.

    [[nodiscard]] std::uint32_t Held() const;
    [[nodiscard]] bool WantsToSend() const;     // A chunk to this site.
    [[nodiscard]] bool WantsToReceive() const;  // A chunk from this site.
  };
  using Messages = std::vector<Outgoing>;

  // Otherwise the caller's refusal is in `out`.
  bool Authorised(const TransferRequest& request, Messages& out);
  void On(const std::string& user, const Have& have, Messages& out);
  void On(const std::string& user, const Get& get, Messages& out);
  void On(const std::string& user, const ChunkAck& ack, Messages& out);
  void On(const std::string& user, const Put& put, Messages& out);
  void On(const std::string& user, const Chunk& chunk, Messages& out);

  // Opens the part for the first site that waits to put this object, if nobody writes it.
  void StartUpload(const Digest& digest, Messages& out);
  // Stores a complete object and tells all who put it.
  void Complete(const std::string& user, Messages& out);
  // Ends the site's put, its part stays; the next site that puts the same object takes over.
  void EndUpload(Site& site, Messages& out);
  void FailUpload(const std::string& user, Refusal refusal, Messages& out);
  void ReportDisk(const std::string& user, const Digest& digest, const Error& error, Messages& out);

  // Hands free credit to those who wait, one chunk a turn, and tells the putting sites their new windows.
  void Distribute(Messages& out);
  std::map<std::string, Site>::iterator NextInTurn();
  void SendChunk(const std::string& user, Site& site, Messages& out);
  static PutStatus StatusOf(const Upload& upload);

  const ObjectStore& gets_;
  ObjectStore& puts_;
  const Clock& clock_;
  AuthoriseTransfer authorise_;
  std::map<std::string, Site> sites_;
  std::string last_served_;       // The round goes on after this user.
  std::set<std::string> untold_;  // Putting sites whose window changed and who have not been told yet.
  std::vector<Digest> completed_;
  std::vector<Error> storage_errors_;
};

}  // namespace hemafed::wire
