// SPDX-License-Identifier: Apache-2.0
#include "codec/sealed_bundle.h"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>
#include <utility>

#include "codec/plan.h"
#include "common/bytes.h"
#include "common/error.h"

namespace hemafed {

namespace {

constexpr std::array<std::uint8_t, 4> kMagic{'H', 'F', 'X', '\n'};
constexpr std::uint16_t kVersion = 1;
constexpr std::string_view kInfo = "hemafed sealed bundle v1";
// Offsets in the header (docs/sealed_bundle.md).
constexpr std::size_t kPlanAt = 8, kTaskAt = 40, kItemsAt = 44, kBytesAt = 48, kSenderAt = 56, kRecipientAt = 104;
constexpr std::size_t kKeyAt = 152, kEncapsulatedAt = 184;
static_assert(kRecipientAt - kSenderAt == kMaxNameBytes && kEncapsulatedAt + 32 == kBundleHeaderBytes);
static_assert(kMaxBundlePlaintextBytes / kBundleChunkBytes <= kMaxHpkeMessages);

[[noreturn]] void Fail(const std::string& what) { throw Error(ErrorCode::kInvalidInput, "sealed bundle: " + what); }

std::uint64_t ChunkCount(std::uint64_t plaintext_bytes) {
  return (plaintext_bytes + kBundleChunkBytes - 1) / kBundleChunkBytes;
}

// What a chunk is bound to beside the key schedule.
Bytes AssociatedData(ByteView header, std::uint64_t chunk, std::uint64_t chunks) {
  Bytes data(header.begin(), header.end());
  data.resize(kBundleHeaderBytes + 5);
  StoreLittleEndian(static_cast<std::uint32_t>(chunk), &data[kBundleHeaderBytes]);
  data[kBundleHeaderBytes + 4] = chunk + 1 == chunks ? 1 : 0;
  return data;
}

template <std::size_t kSize>
void Put(Bytes& out, std::size_t at, const std::array<std::uint8_t, kSize>& bytes) {
  std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
}

template <std::size_t kSize>
std::array<std::uint8_t, kSize> Take(ByteView bytes, std::size_t at) {
  std::array<std::uint8_t, kSize> out{};
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), kSize, out.begin());
  return out;
}

std::string NameAt(ByteView header, std::size_t at, const char* whose) {
  const std::string_view field = AsText(header.subspan(at, kMaxNameBytes));
  const std::string_view name = field.substr(0, field.find('\0'));
  if (field.substr(name.size()).find_first_not_of('\0') != std::string_view::npos || !IsPlainName(name)) {
    Fail(std::string("the ") + whose + "'s name in its header is not one");
  }
  return std::string(name);
}

void CheckAddress(const BundleAddress& address) {
  if (!IsPlainName(address.sender) || !IsPlainName(address.recipient) || address.sender == address.recipient) {
    Fail("'" + address.sender + "' cannot send to '" + address.recipient + "'; both must be sites, and different ones");
  }
}

Bytes EncodeTable(const std::vector<BundleItem>& items) {
  Bytes table(items.size() * kBundleEntryBytes);
  std::uint8_t* out = table.data();
  for (const BundleItem& item : items) {
    std::copy(item.picture.bytes.begin(), item.picture.bytes.end(), out);
    StoreLittleEndian(item.label, out + 32);
    out[34] = static_cast<std::uint8_t>(item.list);
    StoreLittleEndian(item.rank, out + 36);
    StoreLittleEndian(item.bytes, out + 40);
    out += kBundleEntryBytes;
  }
  return table;
}

std::vector<BundleItem> DecodeTable(ByteView table) {
  std::vector<BundleItem> items;
  items.reserve(table.size() / kBundleEntryBytes);
  for (; !table.empty(); table = table.subspan(kBundleEntryBytes)) {
    if (table[34] > static_cast<std::uint8_t>(BundleList::kUncertainty) || table[35] != 0) {
      Fail("item " + std::to_string(items.size()) + " is in a list that this program does not know");
    }
    items.push_back({{Take<32>(table, 0)},
                     LoadLittleEndian<std::uint16_t>(&table[32]),
                     static_cast<BundleList>(table[34]),
                     LoadLittleEndian<std::uint32_t>(&table[36]),
                     LoadLittleEndian<std::uint32_t>(&table[40])});
  }
  return items;
}

std::uint64_t PlaintextBytes(const std::vector<BundleItem>& items) {
  std::uint64_t bytes = items.size() * kBundleEntryBytes;
  for (const BundleItem& item : items) bytes += item.bytes;
  return bytes;
}

void CheckHeader(const BundleHeader& header) {
  if (header.items == 0 || header.items > kMaxBundleItems) {
    Fail("it has " + std::to_string(header.items) + " items; 1 to " + std::to_string(kMaxBundleItems) + " are allowed");
  }
  const std::uint64_t least = header.items * std::uint64_t{kBundleEntryBytes + 1};
  if (header.plaintext_bytes < least || header.plaintext_bytes > kMaxBundlePlaintextBytes) {
    Fail("it has " + std::to_string(header.plaintext_bytes) + " bytes for " + std::to_string(header.items) +
         " items; from " + std::to_string(least) + " to " + std::to_string(kMaxBundlePlaintextBytes) + " are allowed");
  }
}

// The plaintext of a bundle as a stream.
class PlaintextReader {
 public:
  PlaintextReader(const ReadableFile& file, const BundleHeader& header, const HpkePrivateKey& key)
      : file_(file),
        header_(header.Encode()),
        left_(header.plaintext_bytes),
        chunks_(ChunkCount(left_)),
        recipient_(key, header.encapsulated, AsBytes(kInfo)) {
    hash_.Update(header_);
  }

  void Read(std::span<std::uint8_t> out) {
    while (!out.empty()) {
      if (used_ == chunk_.size()) Next();
      const std::size_t taken = std::min(out.size(), chunk_.size() - used_);
      std::copy_n(chunk_.begin() + static_cast<std::ptrdiff_t>(used_), taken, out.begin());
      used_ += taken;
      out = out.subspan(taken);
    }
  }

  // Of the whole file, once everything was read.
  [[nodiscard]] Digest FileHash() { return hash_.Finish(); }

 private:
  void Next() {
    const std::uint64_t number = recipient_.sequence();
    const std::size_t plain = static_cast<std::size_t>(std::min<std::uint64_t>(left_, kBundleChunkBytes));
    sealed_.resize(plain + kHpkeTagBytes);
    const std::uint64_t offset = kBundleHeaderBytes + number * (kBundleChunkBytes + kHpkeTagBytes);
    if (file_.ReadAt(offset, sealed_) != sealed_.size()) Fail("it ends in chunk " + std::to_string(number));
    hash_.Update(sealed_);
    auto opened = recipient_.Open(AssociatedData(header_, number, chunks_), sealed_);
    if (!opened) {
      Fail("chunk " + std::to_string(number) +
           " does not open: it was changed, moved, or sealed for another bundle; ask the sender to send it again");
    }
    chunk_ = *std::move(opened);
    used_ = 0;
    left_ -= plain;
  }

  const ReadableFile& file_;
  Bytes header_;
  std::uint64_t left_;
  std::uint64_t chunks_;
  HpkeRecipient recipient_;
  Sha256 hash_;
  Bytes sealed_, chunk_;
  std::size_t used_ = 0;
};

}  // namespace

Bytes BundleHeader::Encode() const {
  Bytes out(kBundleHeaderBytes);
  Put(out, 0, kMagic);
  StoreLittleEndian(kVersion, &out[4]);
  Put(out, kPlanAt, address.plan.bytes);
  StoreLittleEndian(address.task, &out[kTaskAt]);
  StoreLittleEndian(items, &out[kItemsAt]);
  StoreLittleEndian(plaintext_bytes, &out[kBytesAt]);
  for (const auto& [name, at] : {std::pair{&address.sender, kSenderAt}, {&address.recipient, kRecipientAt}}) {
    std::copy_n(name->begin(), std::min(name->size(), kMaxNameBytes), out.begin() + static_cast<std::ptrdiff_t>(at));
  }
  Put(out, kKeyAt, recipient_key.bytes);
  Put(out, kEncapsulatedAt, encapsulated.bytes);
  return out;
}

std::uint64_t BundleHeader::FileBytes() const {
  return kBundleHeaderBytes + plaintext_bytes + ChunkCount(plaintext_bytes) * kHpkeTagBytes;
}

BundleHeader ReadBundleHeader(const ReadableFile& file) {
  std::array<std::uint8_t, kBundleHeaderBytes> bytes{};
  if (file.ReadAt(0, bytes) != bytes.size()) Fail("it ends within its header");
  if (!std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) Fail("it does not begin as one");
  const auto version = LoadLittleEndian<std::uint16_t>(&bytes[4]);
  if (version != kVersion) {
    Fail("it has version " + std::to_string(version) + "; this program reads " + std::to_string(kVersion));
  }
  if (bytes[6] != 0 || bytes[7] != 0) Fail("its header has bits that mean nothing");
  BundleHeader header;
  header.address.plan.bytes = Take<32>(bytes, kPlanAt);
  header.address.task = LoadLittleEndian<std::uint32_t>(&bytes[kTaskAt]);
  header.items = LoadLittleEndian<std::uint32_t>(&bytes[kItemsAt]);
  header.plaintext_bytes = LoadLittleEndian<std::uint64_t>(&bytes[kBytesAt]);
  header.address.sender = NameAt(bytes, kSenderAt, "sender");
  header.address.recipient = NameAt(bytes, kRecipientAt, "recipient");
  header.recipient_key.bytes = Take<32>(bytes, kKeyAt);
  header.encapsulated.bytes = Take<32>(bytes, kEncapsulatedAt);
  CheckAddress(header.address);
  CheckHeader(header);
  if (const std::uint64_t size = file.Size(); size != header.FileBytes()) {
    Fail("it has " + std::to_string(size) + " bytes, its header needs " + std::to_string(header.FileBytes()));
  }
  return header;
}

std::optional<std::string> CheckBundleItems(const std::vector<BundleItem>& items) {
  if (items.empty() || items.size() > kMaxBundleItems) {
    return std::to_string(items.size()) + " items; 1 to " + std::to_string(kMaxBundleItems) + " are allowed";
  }
  std::set<Digest> seen;
  const BundleItem* before = nullptr;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const BundleItem& item = items[i];
    const std::string name = "item " + std::to_string(i);
    if (item.label >= kMaxClasses) return name + " has the class " + std::to_string(item.label);
    if (item.bytes == 0 || item.bytes > kMaxBundleItemBytes) {
      return name + " has " + std::to_string(item.bytes) + " bytes; 1 to " + std::to_string(kMaxBundleItemBytes) +
             " are allowed";
    }
    const bool same_list = before != nullptr && before->label == item.label && before->list == item.list;
    if (before != nullptr && std::tie(before->label, before->list) > std::tie(item.label, item.list)) {
      return name + " is out of order";
    }
    const std::uint32_t rank = same_list ? before->rank + 1 : 0;
    if (item.rank != rank) {
      return name + " has rank " + std::to_string(item.rank) + " where " + std::to_string(rank) + " comes next";
    }
    if (!seen.insert(item.picture).second) return name + " is a picture that came before";
    before = &item;
  }
  if (PlaintextBytes(items) > kMaxBundlePlaintextBytes) {
    return "all items together have " + std::to_string(PlaintextBytes(items)) + " bytes; " +
           std::to_string(kMaxBundlePlaintextBytes) + " are allowed";
  }
  return std::nullopt;
}

struct SealedBundleWriter::State {
  std::vector<BundleItem> items;
  std::size_t next = 0;  // Item whose picture is to come.
  HpkeSender sender;
  Bytes header;
  std::uint64_t chunks = 0;
  std::unique_ptr<WritableFile> file;
  Sha256 hash;
  std::uint64_t file_bytes = 0;
  Bytes chunk;  // Plaintext waiting to fill one.

  State(std::vector<BundleItem> all, HpkeSender hpke) : items(std::move(all)), sender(std::move(hpke)) {}

  void Write(ByteView bytes) {
    file->Append(bytes);
    hash.Update(bytes);
    file_bytes += bytes.size();
  }

  void Add(ByteView plaintext) {
    while (!plaintext.empty()) {
      const std::size_t taken = std::min(plaintext.size(), kBundleChunkBytes - chunk.size());
      chunk.insert(chunk.end(), plaintext.begin(), plaintext.begin() + static_cast<std::ptrdiff_t>(taken));
      plaintext = plaintext.subspan(taken);
      if (chunk.size() == kBundleChunkBytes) SealChunk();
    }
  }

  void SealChunk() {
    Write(sender.Seal(AssociatedData(header, sender.sequence(), chunks), chunk));
    chunk.clear();
  }
};

SealedBundleWriter::SealedBundleWriter(FileSystem& files, const Path& path, const BundleAddress& address,
                                       const HpkePublicKey& recipient_key, std::vector<BundleItem> items)
    : SealedBundleWriter(files, path, address, recipient_key, std::move(items), HpkePrivateKey::Generate()) {}

SealedBundleWriter::SealedBundleWriter(FileSystem& files, const Path& path, const BundleAddress& address,
                                       const HpkePublicKey& recipient_key, std::vector<BundleItem> items,
                                       const HpkePrivateKey& ephemeral) {
  CheckAddress(address);
  if (const auto problem = CheckBundleItems(items)) Fail("cannot write " + path.string() + ": " + *problem);
  state_ = std::make_unique<State>(std::move(items), HpkeSender(recipient_key, AsBytes(kInfo), ephemeral));
  State& s = *state_;
  const BundleHeader header{address, recipient_key, s.sender.encapsulated(), static_cast<std::uint32_t>(s.items.size()),
                            PlaintextBytes(s.items)};
  s.header = header.Encode();
  s.chunks = ChunkCount(header.plaintext_bytes);
  s.chunk.reserve(kBundleChunkBytes);
  s.file = files.Create(path, 0600);
  s.Write(s.header);
  s.Add(EncodeTable(s.items));
}

SealedBundleWriter::~SealedBundleWriter() = default;
SealedBundleWriter::SealedBundleWriter(SealedBundleWriter&&) noexcept = default;
SealedBundleWriter& SealedBundleWriter::operator=(SealedBundleWriter&&) noexcept = default;

void SealedBundleWriter::Append(ByteView picture) {
  State& s = *state_;
  if (s.next == s.items.size()) Fail("a picture more than it has items");
  const BundleItem& item = s.items[s.next];
  if (picture.size() != item.bytes || Sha256Of(picture) != item.picture) {
    Fail("picture " + std::to_string(s.next) + " is not the one that its item names (" + item.picture.Hex() + ")");
  }
  s.Add(picture);
  ++s.next;
}

BundleFileInfo SealedBundleWriter::Finish(Durability durability) {
  State& s = *state_;
  if (s.next != s.items.size()) Fail(std::to_string(s.items.size() - s.next) + " pictures are missing");
  if (!s.chunk.empty()) s.SealChunk();
  if (durability == Durability::kSynced) s.file->Sync();
  s.file->Close();
  return {s.hash.Finish(), s.file_bytes};
}

std::vector<BundleItem> OpenSealedBundle(const ReadableFile& file, const BundleAddress& address,
                                         const HpkePrivateKey& key, const Digest& signed_digest,
                                         const BundleSink& sink) {
  const BundleHeader header = ReadBundleHeader(file);
  const BundleAddress& got = header.address;
  if (got.plan != address.plan) Fail("it belongs to plan " + got.plan.Hex() + ", not to " + address.plan.Hex());
  if (got.task != address.task) {
    Fail("it holds exemplars of task " + std::to_string(got.task) + ", not of " + std::to_string(address.task));
  }
  if (got.sender != address.sender) Fail("it comes from " + got.sender + ", not from " + address.sender);
  if (got.recipient != address.recipient) Fail("it is for " + got.recipient + ", not for " + address.recipient);
  if (header.recipient_key != key.PublicKey()) {
    Fail("it is sealed for the key " + header.recipient_key.Hex() + "; this trainer has " + key.PublicKey().Hex());
  }

  PlaintextReader plaintext(file, header, key);
  Bytes table(header.items * kBundleEntryBytes);
  plaintext.Read(table);
  std::vector<BundleItem> items = DecodeTable(table);
  if (const auto problem = CheckBundleItems(items)) Fail(*problem);
  if (PlaintextBytes(items) != header.plaintext_bytes) Fail("its items do not have the bytes that its header says");
  Bytes picture;
  for (std::size_t i = 0; i < items.size(); ++i) {
    picture.resize(items[i].bytes);
    plaintext.Read(picture);
    if (Sha256Of(picture) != items[i].picture) Fail("picture " + std::to_string(i) + " is not the one its item names");
    sink(items[i], picture);
  }
  if (plaintext.FileHash() != signed_digest) {
    Fail("it is not the file that " + address.sender + " signed (" + signed_digest.Hex() + ")");
  }
  return items;
}

}  // namespace hemafed
