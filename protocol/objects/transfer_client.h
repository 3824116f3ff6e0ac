// protocol/objects/transfer_client.h
// SPDX-License-Identifier: Apache-2.0
//
// A site's side of moving objects, as a state machine without sockets (the exchange: transfer_server.h). Transfers run
// one after the other in the order asked for. Every call returns the messages to send now; if one cannot be sent, drop
// it and call OnReconnect when the connection is back: the transfer goes on at the chunk.
//
//     client.Download(digest, size, "model.safetensors");
//     ... on each kReady event:          send(client.OnReconnect())
//     ... on each message it Handles:    send(client.Handle(message))
//     ... while (auto result = client.NextResult()) ...
//
// A download grows in "<target>.part" and is renamed to its target after its bytes were hashed and synced; a program
// that starts again asks for the same download and resumes that part. Memory: one chunk for a download, the granted
// window (at most kMaxUploadWindow chunks) for an upload.
//
// Errors: a refusal by the coordinator, and content that does not have its digest, end that transfer with a result.
// Errors of the local disk are thrown (kNoSpace, kUnavailable, kNotFound); the part stays, the transfer stays first in
// line.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "protocol/objects/part_file.h"
#include "protocol/wire/messages.h"

namespace hemafed::wire {

struct TransferResult {
  Digest digest;
  std::optional<Refusal> refusal;  // Nothing: done, verified at its destination.
};

// The largest window a coordinator may grant; more would only fill our memory.
inline constexpr std::uint32_t kMaxUploadWindow = 16;

class TransferClient {
 public:
  // `files` is borrowed.
  explicit TransferClient(FileSystem& files);
  ~TransferClient();

  // Queues a transfer; nothing happens for a digest and direction already in line. The messages are to be sent now
  // (empty if another transfer is under way).
  [[nodiscard]] std::vector<Message> Upload(const Path& file, const Digest& digest);
  [[nodiscard]] std::vector<Message> Download(const Digest& digest, std::uint64_t size, const Path& target);

  // HaveReply is the caller's, who asks Have itself. Chunk, PutStatus, and a Refusal whose subject is the transfer
  // under way; anything else is ignored.
  [[nodiscard]] bool Handles(const Message& message) const noexcept;
  [[nodiscard]] std::vector<Message> Handle(const Message& message);
  // A new connection is ready: asks again for the transfer under way.
  [[nodiscard]] std::vector<Message> OnReconnect();

  [[nodiscard]] std::optional<TransferResult> NextResult();
  [[nodiscard]] bool idle() const { return queue_.empty(); }

  // The transfer under way, in bytes; 0 of 0 when idle.
  [[nodiscard]] std::uint64_t done_bytes() const;
  [[nodiscard]] std::uint64_t total_bytes() const;

 private:
  struct Job;

  std::vector<Message> Queue(std::unique_ptr<Job> job);
  std::vector<Message> Ask();
  std::vector<Message> FinishDownload();
  std::vector<Message> OnChunk(const Chunk& chunk);
  std::vector<Message> OnPutStatus(const PutStatus& status);
  std::vector<Message> OnRefusal(const Refusal& refusal);
  std::vector<Message> End(std::optional<Refusal> refusal);

  FileSystem& files_;
  std::deque<std::unique_ptr<Job>> queue_;  // The first is under way.
  std::deque<TransferResult> results_;
};

}  // namespace hemafed::wire
