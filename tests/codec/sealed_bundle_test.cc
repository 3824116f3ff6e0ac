// SPDX-License-Identifier: Apache-2.0
//
// Exemplars on their way between two trainers: docs/sealed_bundle.md.
#include "codec/sealed_bundle.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/random.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/fuzz/memory_file.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::MemoryFile;

const Path kFile = "/b.hfx";

HpkePrivateKey KeyOf(std::uint8_t seed) { return HpkePrivateKey::Derive(Bytes(32, seed)); }

struct Bundle {
  BundleAddress address{Sha256Of("plan"), 2, "raabin", "bccd"};
  HpkePrivateKey key = KeyOf(1);
  std::vector<BundleItem> items;
  std::vector<Bytes> pictures;

  void AddPicture(std::uint16_t label, BundleList list, std::uint32_t rank, Bytes picture) {
    items.push_back({Sha256Of(picture), label, list, rank, static_cast<std::uint32_t>(picture.size())});
    pictures.push_back(std::move(picture));
  }
};

Bytes RandomPicture(std::size_t size, std::uint64_t seed) {
  RandomStream random(seed);
  Bytes picture(size);
  for (auto& byte : picture) byte = static_cast<std::uint8_t>(random.NextWord());
  return picture;
}

// Two classes with both lists; `size` is that of one picture.
Bundle SomeBundle(std::size_t size = 50) {
  Bundle bundle;
  bundle.AddPicture(0, BundleList::kHerding, 0, RandomPicture(size, 1));
  bundle.AddPicture(0, BundleList::kHerding, 1, RandomPicture(size + 1, 2));
  bundle.AddPicture(0, BundleList::kUncertainty, 0, RandomPicture(size, 3));
  bundle.AddPicture(3, BundleList::kHerding, 0, RandomPicture(1, 4));
  bundle.AddPicture(3, BundleList::kUncertainty, 0, RandomPicture(2 * size, 5));
  return bundle;
}

std::string Written(const Bundle& bundle, BundleFileInfo* info = nullptr) {
  FaultFileSystem files;
  SealedBundleWriter writer(files, kFile, bundle.address, bundle.key.PublicKey(), bundle.items, KeyOf(9));
  for (const Bytes& picture : bundle.pictures) writer.Append(picture);
  const BundleFileInfo got = writer.Finish();
  if (info != nullptr) *info = got;
  return *files.Peek(kFile);
}

struct Opened {
  std::vector<BundleItem> items;
  std::vector<Bytes> pictures;
};

Opened Open(const std::string& content, const BundleAddress& address, const HpkePrivateKey& key,
            const Digest& signed_digest) {
  Opened opened;
  std::vector<BundleItem> handed;
  opened.items = OpenSealedBundle(MemoryFile(AsBytes(content)), address, key, signed_digest,
                                  [&](const BundleItem& item, ByteView picture) {
                                    handed.push_back(item);
                                    opened.pictures.emplace_back(picture.begin(), picture.end());
                                  });
  EXPECT_EQ(handed, opened.items);
  return opened;
}

Opened Open(const std::string& content, const Bundle& bundle) {
  return Open(content, bundle.address, bundle.key, Sha256Of(content));
}

TEST(SealedBundle, GivesTheRecipientWhatWasSent) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{50}, kBundleChunkBytes, 2 * kBundleChunkBytes + 77}) {
    const Bundle bundle = SomeBundle(size);
    BundleFileInfo info;
    const std::string content = Written(bundle, &info);
    EXPECT_EQ(info.file, Sha256Of(content));
    EXPECT_EQ(info.file_bytes, content.size());
    const Opened opened = Open(content, bundle);
    EXPECT_EQ(opened.items, bundle.items);
    EXPECT_EQ(opened.pictures, bundle.pictures);
  }
}

TEST(SealedBundle, FitsItsChunksExactlyToTheByte) {
  for (const std::size_t plaintext : {2 * kBundleChunkBytes - 1, 2 * kBundleChunkBytes, 2 * kBundleChunkBytes + 1}) {
    Bundle bundle;
    // One item: 44 bytes of table before the picture.
    bundle.AddPicture(0, BundleList::kHerding, 0, RandomPicture(plaintext - 44, 1));
    const std::string content = Written(bundle);
    EXPECT_EQ(content.size(), 216 + plaintext + (plaintext > 2 * kBundleChunkBytes ? 48 : 32));
    EXPECT_EQ(Open(content, bundle).pictures, bundle.pictures);
  }
}

// The page's grammar, put together here from the messages of one HPKE context.
TEST(SealedBundle, IsTheFormatOfItsPage) {
  const Bundle bundle = SomeBundle(600'000);
  Bytes plaintext;
  const auto put = [](Bytes& out, auto integer) {
    out.resize(out.size() + sizeof(integer));
    StoreLittleEndian(integer, &out[out.size() - sizeof(integer)]);
  };
  for (const BundleItem& item : bundle.items) {
    plaintext.insert(plaintext.end(), item.picture.bytes.begin(), item.picture.bytes.end());
    put(plaintext, item.label);
    put(plaintext, static_cast<std::uint16_t>(item.list));
    put(plaintext, item.rank);
    put(plaintext, item.bytes);
  }
  for (const Bytes& picture : bundle.pictures) plaintext.insert(plaintext.end(), picture.begin(), picture.end());

  HpkeSender sender(bundle.key.PublicKey(), AsBytes("hemafed sealed bundle v1"), KeyOf(9));
  Bytes file{'H', 'F', 'X', '\n', 1, 0, 0, 0};
  file.insert(file.end(), bundle.address.plan.bytes.begin(), bundle.address.plan.bytes.end());
  put(file, std::uint32_t{2});
  put(file, std::uint32_t{5});
  put(file, std::uint64_t{plaintext.size()});
  for (const std::string& name : {bundle.address.sender, bundle.address.recipient}) {
    file.insert(file.end(), name.begin(), name.end());
    file.resize(file.size() + 48 - name.size());
  }
  file.insert(file.end(), bundle.key.PublicKey().bytes.begin(), bundle.key.PublicKey().bytes.end());
  file.insert(file.end(), sender.encapsulated().bytes.begin(), sender.encapsulated().bytes.end());
  ASSERT_EQ(file.size(), kBundleHeaderBytes);
  const Bytes header = file;
  for (std::uint32_t chunk = 0; chunk << 20 < plaintext.size(); ++chunk) {
    Bytes aad = header;
    put(aad, chunk);
    aad.push_back((chunk + 1) << 20 >= plaintext.size() ? 1 : 0);
    const ByteView rest = ByteView(plaintext).subspan(chunk << 20);
    const Bytes sealed = sender.Seal(aad, rest.first(std::min<std::size_t>(rest.size(), 1 << 20)));
    file.insert(file.end(), sealed.begin(), sealed.end());
  }
  EXPECT_EQ(Written(bundle), AsText(file));
}

TEST(SealedBundle, IsNeverTheSameTwice) {
  const Bundle bundle = SomeBundle();
  FaultFileSystem files;
  std::vector<Digest> digests;
  for (int i = 0; i < 2; ++i) {
    SealedBundleWriter writer(files, kFile, bundle.address, bundle.key.PublicKey(), bundle.items);
    for (const Bytes& picture : bundle.pictures) writer.Append(picture);
    digests.push_back(writer.Finish().file);
    EXPECT_EQ(Open(*files.Peek(kFile), bundle).pictures, bundle.pictures);
  }
  EXPECT_NE(digests[0], digests[1]);
}

TEST(SealedBundle, TellsWhoHoldsNoKeyWhatItMayKnow) {
  const Bundle bundle = SomeBundle();
  const std::string content = Written(bundle);
  const BundleHeader header = ReadBundleHeader(MemoryFile(AsBytes(content)));
  EXPECT_EQ(header.address, bundle.address);
  EXPECT_EQ(header.recipient_key, bundle.key.PublicKey());
  EXPECT_EQ(header.items, 5u);
  EXPECT_EQ(header.plaintext_bytes, 5 * 44 + 50 + 51 + 50 + 1 + 100u);
  EXPECT_EQ(header.FileBytes(), content.size());
  EXPECT_EQ(AsText(header.Encode()), content.substr(0, kBundleHeaderBytes));
  for (const Bytes& picture : bundle.pictures) {
    if (picture.size() == 1) continue;
    EXPECT_EQ(content.find(AsText(picture)), std::string::npos);
  }
}

TEST(SealedBundle, IsRefusedByAnybodyElse) {
  const Bundle bundle = SomeBundle();
  const std::string content = Written(bundle);
  const Digest digest = Sha256Of(content);
  const auto refused = [&](const std::string& words, const auto& change) {
    BundleAddress other = bundle.address;
    change(other);
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)Open(content, other, bundle.key, digest));
  };
  refused("belongs to plan", [](BundleAddress& a) { a.plan = Sha256Of("another"); });
  refused("exemplars of task 2, not of 1", [](BundleAddress& a) { a.task = 1; });
  refused("comes from raabin, not from acevedo", [](BundleAddress& a) { a.sender = "acevedo"; });
  refused("is for bccd, not for acevedo", [](BundleAddress& a) { a.recipient = "acevedo"; });
  EXPECT_ERROR(ErrorCode::kInvalidInput, "this trainer has " + KeyOf(2).PublicKey().Hex(),
               (void)Open(content, bundle.address, KeyOf(2), digest));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not the file that raabin signed",
               (void)Open(content, bundle.address, bundle.key, Sha256Of("another")));
}

// A header that claims another recipient, plan or size does not help: every chunk is bound to it.
TEST(SealedBundle, DoesNotOpenUnderAnotherHeader) {
  const Bundle bundle = SomeBundle();
  const std::string content = Written(bundle);
  const auto readdressed = [&](std::size_t at, char byte) {
    std::string changed = content;
    changed[at] = byte;
    return changed;
  };
  BundleAddress address = bundle.address;
  address.task = 3;
  const std::string other_task = readdressed(40, 3);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "chunk 0 does not open",
               (void)Open(other_task, address, bundle.key, Sha256Of(other_task)));
  address = bundle.address;
  address.sender = "saabin";
  const std::string other_sender = readdressed(56, 's');
  EXPECT_ERROR(ErrorCode::kInvalidInput, "chunk 0 does not open",
               (void)Open(other_sender, address, bundle.key, Sha256Of(other_sender)));
}

TEST(SealedBundle, NeverOpensWithAFlippedBitOrCut) {
  const Bundle bundle = SomeBundle(3);
  const std::string content = Written(bundle);
  for (std::size_t bit = 0; bit < content.size() * 8; ++bit) {
    std::string damaged = content;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_ERROR(ErrorCode::kInvalidInput, "", (void)Open(damaged, bundle));
  }
  for (std::size_t size = 0; size < content.size(); ++size) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "sealed bundle: it ", (void)Open(content.substr(0, size), bundle));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "its header needs", (void)Open(content + "x", bundle));
}

// Three chunks; the last one is as long as the others, so that they could be exchanged.
TEST(SealedBundle, DoesNotOpenWithChunksMovedRepeatedOrFromAnotherBundle) {
  Bundle bundle;
  bundle.AddPicture(0, BundleList::kHerding, 0, RandomPicture(3 * kBundleChunkBytes - 44, 1));
  const std::string content = Written(bundle);
  constexpr std::size_t kSealed = kBundleChunkBytes + kHpkeTagBytes;
  const auto chunk = [&](const std::string& file, std::size_t i) {
    return file.substr(kBundleHeaderBytes + i * kSealed, kSealed);
  };
  const std::string header = content.substr(0, kBundleHeaderBytes);
  ASSERT_EQ(header + chunk(content, 0) + chunk(content, 1) + chunk(content, 2), content);

  const auto refused = [&](const std::string& file, const std::string& words) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)Open(file, bundle));
  };
  refused(header + chunk(content, 1) + chunk(content, 0) + chunk(content, 2), "chunk 0 does not open");
  refused(header + chunk(content, 0) + chunk(content, 2) + chunk(content, 1), "chunk 1 does not open");
  refused(header + chunk(content, 0) + chunk(content, 1) + chunk(content, 1), "chunk 2 does not open");
  refused(header + chunk(content, 0) + chunk(content, 1), "its header needs");

  // Cut at a chunk, with a header that says so.
  std::string shorter = header + chunk(content, 0) + chunk(content, 1);
  StoreLittleEndian(std::uint64_t{2 * kBundleChunkBytes}, reinterpret_cast<std::uint8_t*>(&shorter[48]));
  refused(shorter, "chunk 0 does not open");

  Bundle other = bundle;
  other.address.task = 1;
  refused(header + chunk(Written(other), 0) + chunk(content, 1) + chunk(content, 2), "chunk 0 does not open");
}

TEST(SealedBundle, WriterRefusesWhatIsNotItsItems) {
  FaultFileSystem files;
  const Bundle bundle = SomeBundle();
  const auto writer_of = [&](const BundleAddress& address, const std::vector<BundleItem>& items) {
    return SealedBundleWriter(files, kFile, address, bundle.key.PublicKey(), items);
  };
  SealedBundleWriter writer = writer_of(bundle.address, bundle.items);
  writer.Append(bundle.pictures[0]);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "picture 1 is not the one", writer.Append(bundle.pictures[2]));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "4 pictures are missing", (void)writer.Finish());
  for (std::size_t i = 1; i < 5; ++i) writer.Append(bundle.pictures[i]);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more than it has items", writer.Append(bundle.pictures[0]));
  EXPECT_NO_THROW((void)writer.Finish());

  BundleAddress address = bundle.address;
  address.recipient = "raabin";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot send to", (void)writer_of(address, bundle.items));
  address.recipient = "not a name";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot send to", (void)writer_of(address, bundle.items));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "0 items", (void)writer_of(bundle.address, {}));
}

TEST(SealedBundle, ItemsHaveOneOrderWithoutGaps) {
  const std::vector<BundleItem> good = SomeBundle().items;
  EXPECT_EQ(CheckBundleItems(good), std::nullopt);
  const auto problem = [&](const auto& change) {
    std::vector<BundleItem> items = good;
    change(items);
    return CheckBundleItems(items).value_or("none");
  };
  using Items = std::vector<BundleItem>;
  EXPECT_EQ(problem([](Items& i) { std::swap(i[0], i[3]); }), "item 1 is out of order");
  EXPECT_EQ(problem([](Items& i) { std::swap(i[1], i[2]); }), "item 2 is out of order");
  EXPECT_EQ(problem([](Items& i) { i[1].rank = 2; }), "item 1 has rank 2 where 1 comes next");
  EXPECT_EQ(problem([](Items& i) { i[1].rank = 0; }), "item 1 has rank 0 where 1 comes next");
  EXPECT_EQ(problem([](Items& i) { i[3].rank = 1; }), "item 3 has rank 1 where 0 comes next");
  EXPECT_EQ(problem([](Items& i) { i[4].picture = i[0].picture; }), "item 4 is a picture that came before");
  EXPECT_EQ(problem([](Items& i) { i[4].label = 64; }), "item 4 has the class 64");
  EXPECT_EQ(problem([](Items& i) { i[2].bytes = 0; }), "item 2 has 0 bytes; 1 to 68157440 are allowed");
  EXPECT_EQ(problem([](Items& i) { i[2].bytes = kMaxBundleItemBytes + 1; }),
            "item 2 has 68157441 bytes; 1 to 68157440 are allowed");

  Items many(kMaxBundleItems + 1);
  EXPECT_EQ(CheckBundleItems(many), "65537 items; 1 to 65536 are allowed");
  many.resize(64);
  for (std::uint32_t i = 0; i < many.size(); ++i) {
    many[i] = {Sha256Of(std::to_string(i)), 0, BundleList::kHerding, i, kMaxBundleItemBytes};
  }
  EXPECT_EQ(CheckBundleItems(many), "all items together have 4362078976 bytes; 4294967296 are allowed");
}

TEST(SealedBundle, HeaderIsBoundedBeforeAnythingIsReserved) {
  const std::string content = Written(SomeBundle());
  const auto refused = [&](std::size_t at, const std::string& bytes, const std::string& words) {
    std::string changed = content;
    changed.replace(at, bytes.size(), bytes);
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)ReadBundleHeader(MemoryFile(AsBytes(changed))));
  };
  refused(0, "HFU\n", "does not begin as one");
  refused(4, std::string(1, 2), "has version 2; this program reads 1");
  refused(7, std::string(1, 1), "bits that mean nothing");
  refused(44, std::string(4, '\0'), "0 items; 1 to 65536");
  refused(44, std::string(4, '\xff'), "4294967295 items; 1 to 65536");
  refused(44, std::string("\x20", 1), "from 1440 to 4294967296 are allowed");
  refused(48, std::string(8, '\xff'), "18446744073709551615 bytes for 5 items");
  refused(56, std::string(1, '\0'), "sender's name");
  refused(64, std::string(1, 'x'), "sender's name");  // After the padding has begun.
  refused(104, "bc/d", "recipient's name");
  refused(104, std::string("raabin\0", 7), "cannot send to");
}

TEST(SealedBundle, ReportsEveryFailureOfTheDisk) {
  const Bundle bundle = SomeBundle(kBundleChunkBytes);
  for (std::uint64_t n = 1;; ++n) {
    FaultFileSystem files;
    files.FailCall(n, ErrorCode::kNoSpace);
    bool refused = false;
    try {
      SealedBundleWriter writer(files, kFile, bundle.address, bundle.key.PublicKey(), bundle.items, KeyOf(9));
      for (const Bytes& picture : bundle.pictures) writer.Append(picture);
      const Digest digest = writer.Finish().file;
      (void)OpenSealedBundle(*files.OpenForRead(kFile), bundle.address, bundle.key, digest,
                             [](const BundleItem&, ByteView) {});
    } catch (const Error& error) {
      refused = true;
      EXPECT_EQ(error.code(), ErrorCode::kNoSpace);
    }
    EXPECT_EQ(refused, files.failed());
    if (!files.failed()) break;
  }
}

// tests/data/sealed_bundle/README.md says how the sample was made and how it was opened without this code.
TEST(SealedBundle, OpensTheWorkedBytesOfItsPage) {
  const std::string content =
      ReadFile(RealFileSystem(), Path(HEMAFED_SOURCE_DIR) / "tests/data/sealed_bundle/v1_worked.hfx", 1 << 20);
  // The recipient's key of the published HPKE vector (tests/data/hpke).
  const HpkePrivateKey key =
      HpkePrivateKey::Derive(*HexDecode("dac33b0e9db1b59dbbea58d59a14e7b5896e9bdf98fad6891e99d1686492b9ee"));
  const Opened opened = Open(content, {Sha256Of("plan"), 2, "raabin", "bccd"}, key,
                             *Digest::FromHex("94c36143525e65c4019847a5b0ac69edd93d5f8eaf948645f354a2e761977bae"));
  ASSERT_EQ(opened.items.size(), 2u);
  EXPECT_EQ(opened.pictures, (std::vector<Bytes>{ToBytes("lymphocyte"), ToBytes("monocyte")}));
  EXPECT_EQ(opened.items[0], (BundleItem{Sha256Of("lymphocyte"), 1, BundleList::kHerding, 0, 10}));
  EXPECT_EQ(opened.items[1], (BundleItem{Sha256Of("monocyte"), 2, BundleList::kUncertainty, 0, 8}));
}

}  // namespace
}  // namespace hemafed
