// protocol/wire/messages.h
// SPDX-License-Identifier: Apache-2.0
//
// Every message that two parties exchange, as value types. Each names its MessageType, its largest payload and, in one
// serialize(), its fields in wire order with their limits (docs/wire.md describes each with its meaning and a worked
// example). Who is speaking never stands in a message: that comes from the connection's key (server_endpoint.h).
//
// Errors: EncodeMessage throws Error(kInvalidInput) when a field is over its limit, with the field's kind in the text:
// the caller made a message nobody would accept. DecodeMessage returns what is wrong as a value.
//
// Thread-safety: value types and free functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/sha256.h"
#include "protocol/wire/archive.h"
#include "protocol/wire/frame.h"
#include "protocol/wire/refusal_code.h"

namespace hemafed::wire {

using Bytes32 = std::array<std::uint8_t, 32>;
using Bytes64 = std::array<std::uint8_t, 64>;

// Limits of fields, in bytes of UTF-8 where they are texts.
namespace wire_limits {
inline constexpr std::size_t kRefusalTextBytes = 1000;  // A paragraph for a person.
inline constexpr std::size_t kNameBytes = 64;           // Site, slot, software and phase names: one column of a table.
inline constexpr std::size_t kFingerprintBytes = 64;    // 16 characters and the separators people read them with.
inline constexpr std::size_t kLabEntryBytes = 4096;     // Three keys, a name and a contact as JSON: about 600.
inline constexpr std::size_t kRosterEntryBytes = 8192;  // A lab entry with the operator's signature.
inline constexpr std::size_t kCheckpointBytes = 8192;   // A checkpoint with the cosignatures of 40 witnesses.
inline constexpr std::size_t kJsonBytes = 60'000;  // The limit of a log entry (docs/round_log.md); tasks keep it too.
inline constexpr std::size_t kProofHashes = 64;    // A tree of 2^64 entries has paths of at most 64 hashes.
inline constexpr std::size_t kCountBytes = 4;      // In front of every text, blob and list.
}  // namespace wire_limits

// Something was not accepted and nothing has changed because of it. May answer any message.
struct Refusal {
  static constexpr MessageType kType = MessageType::kRefusal;
  static constexpr std::size_t kMaxBytes = 2 + 32 + wire_limits::kCountBytes + wire_limits::kRefusalTextBytes;
  RefusalCode code = RefusalCode::kInternal;
  std::string text;  // What happened and what to do.
  Digest subject{};  // The object, update or assignment it is about; zeros if none.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(EnumField(code), subject, TextField(text, wire_limits::kRefusalTextBytes, TextRule::kPage));
  }
  bool operator==(const Refusal&) const = default;
};

// --- Enrolment: on an endpoint of its own, where any key may connect.

// A lab presents the one-time secret of its invitation and its public keys.
struct EnrolRequest {
  static constexpr MessageType kType = MessageType::kEnrolRequest;
  static constexpr std::size_t kMaxBytes =
      2 * wire_limits::kCountBytes + wire_limits::kNameBytes + wire_limits::kLabEntryBytes + 32 + 64;
  std::string slot;       // The place in the consortium that the invitation names.
  Bytes32 secret{};       // From the invitation.
  std::string lab_entry;  // Canonical JSON: the lab's public keys.
  Bytes64 signature{};    // Over lab_entry, with the lab's manifest key.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(TextField(slot, wire_limits::kNameBytes), secret,
            TextField(lab_entry, wire_limits::kLabEntryBytes, TextRule::kPage), signature);
  }
  bool operator==(const EnrolRequest&) const = default;
};

// "Has the operator decided?" Sent every few seconds until it has.
struct EnrolPoll {
  static constexpr MessageType kType = MessageType::kEnrolPoll;
  static constexpr std::size_t kMaxBytes = wire_limits::kCountBytes + wire_limits::kNameBytes + 32;
  std::string slot;
  Bytes32 curve_public_key{};

  template <class Archive>
  void serialize(Archive& archive) {
    archive(TextField(slot, wire_limits::kNameBytes), curve_public_key);
  }
  bool operator==(const EnrolPoll&) const = default;
};

enum class EnrolState : std::uint8_t { kPending = 0, kApproved = 1, kRejected = 2 };
[[nodiscard]] constexpr bool IsKnown(EnrolState state) { return state <= EnrolState::kRejected; }

struct EnrolStatus {
  static constexpr MessageType kType = MessageType::kEnrolStatus;
  static constexpr std::size_t kMaxBytes =
      1 + 2 * wire_limits::kCountBytes + wire_limits::kFingerprintBytes + wire_limits::kRosterEntryBytes;
  EnrolState state = EnrolState::kPending;
  std::string fingerprint;   // The one both people compare by eye.
  std::string roster_entry;  // Filled once approved: the lab's entry with the operator's signature.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(EnumField(state), TextField(fingerprint, wire_limits::kFingerprintBytes),
            TextField(roster_entry, wire_limits::kRosterEntryBytes, TextRule::kPage));
  }
  bool operator==(const EnrolStatus&) const = default;
};

// --- A working session.

// First message of a site after every connection.
struct Hello {
  static constexpr MessageType kType = MessageType::kHello;
  static constexpr std::size_t kMaxBytes = wire_limits::kCountBytes + wire_limits::kNameBytes + 8 + 32;
  std::string software;      // Name and version, for the operator's eyes.
  std::int64_t wall_ms = 0;  // The site's clock, so that a wrong one is named at once.
  Digest plan_digest{};      // The plan the site has; zeros if none yet.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(TextField(software, wire_limits::kNameBytes), wall_ms, plan_digest);
  }
  bool operator==(const Hello&) const = default;
};

struct Welcome {
  static constexpr MessageType kType = MessageType::kWelcome;
  static constexpr std::size_t kMaxBytes =
      2 * wire_limits::kCountBytes + wire_limits::kNameBytes + 8 + 32 + 8 + wire_limits::kCheckpointBytes;
  std::string site;          // The name under which the consortium knows this key.
  std::int64_t wall_ms = 0;  // The coordinator's clock.
  Digest plan_digest{};
  std::uint64_t log_size = 0;
  std::string checkpoint;  // Signed note over the log at that size.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(TextField(site, wire_limits::kNameBytes), wall_ms, plan_digest, log_size,
            TextField(checkpoint, wire_limits::kCheckpointBytes, TextRule::kPage));
  }
  bool operator==(const Welcome&) const = default;
};

// "What shall I do?" The coordinator answers with an Assignment as soon as there is one that differs from the last.
struct WorkRequest {
  static constexpr MessageType kType = MessageType::kWorkRequest;
  static constexpr std::size_t kMaxBytes = 32;
  Digest last_assignment{};  // SHA-256 of the JSON text the site has; zeros if none.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(last_assignment);
  }
  bool operator==(const WorkRequest&) const = default;
};

struct Assignment {
  static constexpr MessageType kType = MessageType::kAssignment;
  static constexpr std::size_t kMaxBytes = wire_limits::kCountBytes + wire_limits::kJsonBytes;
  std::string json;  // Canonical JSON; its SHA-256 names the assignment.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(TextField(json, wire_limits::kJsonBytes, TextRule::kPage));
  }
  bool operator==(const Assignment&) const = default;
};

struct ProgressReport {
  static constexpr MessageType kType = MessageType::kProgress;
  static constexpr std::size_t kMaxBytes = 32 + 4 * 8 + wire_limits::kCountBytes + wire_limits::kNameBytes;
  Digest assignment{};
  std::uint64_t done = 0;  // Of `total`, in the unit of the phase (steps, pictures).
  std::uint64_t total = 0;
  std::uint64_t images_per_s_milli = 0;  // Thousandths of a picture per second.
  std::int64_t seconds_left = -1;        // Negative: not known yet.
  std::string phase;                     // "train", "evaluate", ...

  template <class Archive>
  void serialize(Archive& archive) {
    archive(assignment, done, total, images_per_s_milli, seconds_left, TextField(phase, wire_limits::kNameBytes));
  }
  bool operator==(const ProgressReport&) const = default;
};

// A signed statement of a site: an update's manifest, a report, an acknowledgement of a model. What the kinds are and
// what the body must hold belongs to the log (docs/round_log.md); here they are a number and a text.
struct Submission {
  static constexpr MessageType kType = MessageType::kSubmission;
  static constexpr std::size_t kMaxBytes = 2 + wire_limits::kCountBytes + wire_limits::kJsonBytes + 64;
  std::uint16_t kind = 0;
  std::string body;  // Canonical JSON.
  Bytes64 signature{};

  template <class Archive>
  void serialize(Archive& archive) {
    archive(kind, TextField(body, wire_limits::kJsonBytes, TextRule::kPage), signature);
  }
  bool operator==(const Submission&) const = default;
};

// Proof that a submission is in the log: verifiable offline with the coordinator's log key.
struct Receipt {
  static constexpr MessageType kType = MessageType::kReceipt;
  static constexpr std::size_t kMaxBytes =
      8 + 8 + 2 * wire_limits::kCountBytes + wire_limits::kCheckpointBytes + 32 * wire_limits::kProofHashes;
  std::uint64_t log_index = 0;
  std::uint64_t log_size = 0;
  std::string checkpoint;
  std::vector<Digest> proof;  // RFC 6962 inclusion path, leaf side first.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(log_index, log_size, TextField(checkpoint, wire_limits::kCheckpointBytes, TextRule::kPage),
            DigestList(proof, wire_limits::kProofHashes));
  }
  bool operator==(const Receipt&) const = default;
};

// --- Objects by content (protocol/objects/transfer_server.h explains the exchange).

struct Have {
  static constexpr MessageType kType = MessageType::kHave;
  static constexpr std::size_t kMaxBytes = 32;
  Digest digest{};

  template <class Archive>
  void serialize(Archive& archive) {
    archive(digest);
  }
  bool operator==(const Have&) const = default;
};

struct HaveReply {
  static constexpr MessageType kType = MessageType::kHaveReply;
  static constexpr std::size_t kMaxBytes = 32 + 1 + 8;
  Digest digest{};
  bool present = false;
  std::uint64_t size = 0;  // Bytes; 0 if not present.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(digest, FlagField(present), size);
  }
  bool operator==(const HaveReply&) const = default;
};

// "Send me `bytes` bytes from `offset` on." The answer is a row of Chunks, as credit allows.
struct Get {
  static constexpr MessageType kType = MessageType::kGet;
  static constexpr std::size_t kMaxBytes = 32 + 8 + 4;
  Digest digest{};
  std::uint64_t offset = 0;  // A multiple of kChunkBytes.
  std::uint32_t bytes = 0;   // Anything beyond the object's end is ignored.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(digest, offset, bytes);
  }
  bool operator==(const Get&) const = default;
};

// Data in either direction. Full (kChunkBytes) unless it is the last of the object or of the range asked for.
struct Chunk {
  static constexpr MessageType kType = MessageType::kChunk;
  static constexpr std::size_t kMaxBytes = kMaxPayloadBytes;
  Digest digest{};
  std::uint64_t offset = 0;
  std::uint64_t total = 0;  // Size of the whole object in bytes.
  Bytes data;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(digest, offset, total, BlobField(data, kChunkBytes));
  }
  bool operator==(const Chunk&) const = default;
};

struct ChunkAck {
  static constexpr MessageType kType = MessageType::kChunkAck;
  static constexpr std::size_t kMaxBytes = 32 + 8;
  Digest digest{};
  std::uint64_t offset = 0;  // Everything before this byte has been received.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(digest, offset);
  }
  bool operator==(const ChunkAck&) const = default;
};

// "I have an object of this size for you."
struct Put {
  static constexpr MessageType kType = MessageType::kPut;
  static constexpr std::size_t kMaxBytes = 32 + 8;
  Digest digest{};
  std::uint64_t size = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(digest, size);
  }
  bool operator==(const Put&) const = default;
};

// "I have everything before `offset`; you may have `credit` chunks from there on under way."
struct PutStatus {
  static constexpr MessageType kType = MessageType::kPutStatus;
  static constexpr std::size_t kMaxBytes = 32 + 8 + 4 + 1;
  Digest digest{};
  std::uint64_t offset = 0;
  std::uint32_t credit = 0;
  bool complete = false;  // The object is stored and its digest was verified.

  template <class Archive>
  void serialize(Archive& archive) {
    archive(digest, offset, credit, FlagField(complete));
  }
  bool operator==(const PutStatus&) const = default;
};

// Whether the loop at the other end turns; the sockets' own heartbeats only show that its kernel and I/O thread do.
struct Ping {
  static constexpr MessageType kType = MessageType::kPing;
  static constexpr std::size_t kMaxBytes = 0;
  template <class Archive>
  void serialize(Archive&) {}
  bool operator==(const Ping&) const = default;
};
struct Pong {
  static constexpr MessageType kType = MessageType::kPong;
  static constexpr std::size_t kMaxBytes = 0;
  template <class Archive>
  void serialize(Archive&) {}
  bool operator==(const Pong&) const = default;
};

// In the order of MessageType, which messages.cc checks at compile time.
using Message =
    std::variant<Refusal, EnrolRequest, EnrolPoll, EnrolStatus, Hello, Welcome, WorkRequest, Assignment, ProgressReport,
                 Submission, Receipt, Have, HaveReply, Get, Chunk, ChunkAck, Put, PutStatus, Ping, Pong>;

[[nodiscard]] MessageType TypeOf(const Message& message) noexcept;
[[nodiscard]] std::string_view MessageTypeName(MessageType type) noexcept;
// The largest payload of one type, in bytes.
[[nodiscard]] std::size_t MaxPayloadBytes(MessageType type) noexcept;

// The whole frame: header and payload.
[[nodiscard]] Bytes EncodeMessage(const Message& message);

// Why bytes are not a message. `ToRefusal` is what the other end should be told.
struct BadMessage {
  RefusalCode code = RefusalCode::kMalformed;
  std::string reason;

  [[nodiscard]] Refusal ToRefusal() const { return {code, reason, {}}; }
};

[[nodiscard]] std::variant<Message, BadMessage> DecodeMessage(ByteView frame);

}  // namespace hemafed::wire
