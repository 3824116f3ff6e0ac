// codec/sealed_bundle.h
// SPDX-License-Identifier: Apache-2.0
//
// Exemplar pictures on their way from one site's trainer to another's, under the policy `sealed` (design 4.3):
// encrypted to the recipient trainer's key (common/hpke.h), so that agents and the coordinator carry bytes that they
// cannot open. docs/sealed_bundle.md has the grammar and worked bytes.
//
//     file      = header chunk+         header: plan, task, sender, recipient, recipient's key, number of items, sizes
//     chunk i   = HPKE message i of 1 MiB of the plaintext (the last one what is left); its associated data are the
//                 header, i, and whether it is the last
//     plaintext = table of all items, then their pictures one after the other
//
// So a chunk that was changed, left out, repeated, moved, or taken from another bundle does not open, and a bundle cut
// at a chunk is noticed. What encryption to a key does NOT say is who sent it: anybody can seal a bundle that claims
// any sender. The sender signs the file's SHA-256 (its statement in the log), and the digest of that statement is what
// OpenSealedBundle asks for.
//
// An item names its picture by the SHA-256 of its bytes, its class, and its place: the list (herding or uncertainty)
// and the rank in it, from 0 on. Items come in ascending order of (label, list, rank), without gaps, each picture once:
// the same exemplars give the same plaintext.
//
// Who holds no key (agent, coordinator) can check form and size with ReadBundleHeader.
//
// Errors: kInvalidInput: every violation of the format, a bundle for somebody else, a picture that is not the one its
// item names; the message names the place. Otherwise those of FileSystem. Messages hold no keys and no picture bytes.
// Memory: one chunk and one picture. Thread-safety: one writer belongs to one thread; the rest are free functions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/hpke.h"
#include "common/safetensors.h"
#include "common/sha256.h"

namespace hemafed {

// Plaintext bytes of one chunk: what one transfer frame carries, and small beside a picture.
inline constexpr std::size_t kBundleChunkBytes = 1 << 20;
// Exemplars of one bundle: 64 classes with 1,024 each. The paper keeps 1,000 in all.
inline constexpr std::uint32_t kMaxBundleItems = 65'536;
// Bytes of one picture: the largest picture file that an import takes (learning/data/picture_header.h).
inline constexpr std::uint32_t kMaxBundleItemBytes = 65u << 20;
// Plaintext of one bundle: 1,000 pictures of 4 MB. A site with more sends several tasks' bundles anyway.
inline constexpr std::uint64_t kMaxBundlePlaintextBytes = std::uint64_t{4} << 30;
inline constexpr std::size_t kBundleHeaderBytes = 216;
// An entry of the table: digest, label, list, zero, rank, bytes.
inline constexpr std::size_t kBundleEntryBytes = 32 + 2 + 1 + 1 + 4 + 4;

// Whose exemplars of which task, for whom. A bundle is good for nothing else.
struct BundleAddress {
  Digest plan;
  std::uint32_t task = 0;  // The sender's task that the exemplars were chosen in.
  std::string sender;      // Sites of the plan.
  std::string recipient;
  bool operator==(const BundleAddress&) const = default;
};

enum class BundleList : std::uint8_t { kHerding = 0, kUncertainty = 1 };

struct BundleItem {
  Digest picture;           // SHA-256 of its bytes.
  std::uint16_t label = 0;  // Class index of the plan, below kMaxClasses.
  BundleList list = BundleList::kHerding;
  std::uint32_t rank = 0;
  std::uint32_t bytes = 0;  // 1 to kMaxBundleItemBytes.
  bool operator==(const BundleItem&) const = default;
};

struct BundleHeader {
  BundleAddress address;
  HpkePublicKey recipient_key;
  HpkePublicKey encapsulated;
  std::uint32_t items = 0;
  std::uint64_t plaintext_bytes = 0;

  // kBundleHeaderBytes bytes.
  [[nodiscard]] Bytes Encode() const;
  // Of the whole file.
  [[nodiscard]] std::uint64_t FileBytes() const;
  bool operator==(const BundleHeader&) const = default;
};

// Checks the header, and that the file has exactly the size it needs. Opens nothing.
[[nodiscard]] BundleHeader ReadBundleHeader(const ReadableFile& file);

// Nothing, or why these items are no bundle's: order, gaps, a picture twice, sizes, labels.
[[nodiscard]] std::optional<std::string> CheckBundleItems(const std::vector<BundleItem>& items);

struct BundleFileInfo {
  Digest file;  // What the sender signs.
  std::uint64_t file_bytes = 0;
};

class SealedBundleWriter {
 public:
  // Creates the file (mode 0600). `files` is used during the call only.
  SealedBundleWriter(FileSystem& files, const Path& path, const BundleAddress& address,
                     const HpkePublicKey& recipient_key, std::vector<BundleItem> items);
  // The same with a chosen ephemeral key: for simulators with fixed keys and for worked examples. Two bundles to one
  // recipient with the same ephemeral key can both be read by others.
  SealedBundleWriter(FileSystem& files, const Path& path, const BundleAddress& address,
                     const HpkePublicKey& recipient_key, std::vector<BundleItem> items,
                     const HpkePrivateKey& ephemeral);
  ~SealedBundleWriter();
  SealedBundleWriter(SealedBundleWriter&&) noexcept;
  SealedBundleWriter& operator=(SealedBundleWriter&&) noexcept;

  // The whole picture of the next item.
  void Append(ByteView picture);
  // Seals what is left, syncs and closes the file. kInvalidInput if pictures are missing.
  [[nodiscard]] BundleFileInfo Finish(Durability durability = Durability::kSynced);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Receives each picture with its item, in order; the bytes are valid during the call.
using BundleSink = std::function<void(const BundleItem&, ByteView picture)>;

// Opens a bundle that must be the one its sender signed: `signed_digest` is SHA-256 of the whole file. Everything but
// that digest is checked before a picture is handed to the sink; the digest is known at the end. Whatever was handed
// out before an error is to be thrown away. Returns the items.
std::vector<BundleItem> OpenSealedBundle(const ReadableFile& file, const BundleAddress& address,
                                         const HpkePrivateKey& key, const Digest& signed_digest,
                                         const BundleSink& sink);

}  // namespace hemafed
