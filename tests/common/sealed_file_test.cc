// SPDX-License-Identifier: Apache-2.0
#include "common/sealed_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

std::array<std::uint8_t, 32> KeyBytes(std::uint8_t first) {
  std::array<std::uint8_t, 32> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(first + i);
  return bytes;
}

const SealKey kKey(KeyBytes(1));

TEST(Seal, EverySizeComesBack) {
  for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 1000u, 100'000u}) {
    Bytes plaintext(size);
    for (std::size_t i = 0; i < size; ++i) plaintext[i] = static_cast<std::uint8_t>(i * 7);
    const Bytes sealed = Seal(kKey, "vault/exemplars", plaintext);
    EXPECT_EQ(sealed.size(), size + 36);
    EXPECT_EQ(OpenSealed(kKey, "vault/exemplars", sealed), plaintext);
  }
}

TEST(Seal, OpensWhatAnotherImplementationSealed) {
  // AESGCM of the Python package cryptography 48.0.0: key 01 02 .. 20, nonce 00 01 .. 0b,
  // data "exemplars of one lab", associated data "HMFSEAL1" + nonce + "vault/exemplars".
  const std::string hex =
      "484d465345414c31"
      "000102030405060708090a0b"
      "144864fab8b100797c0bdd2744f799e809fbdcf705ed192d4403f0b6f15f68fa21e71649";
  EXPECT_EQ(AsText(OpenSealed(kKey, "vault/exemplars", *HexDecode(hex))), "exemplars of one lab");
}

TEST(Seal, EveryChangedBitIsNoticed) {
  const Bytes sealed = Seal(kKey, "c", AsBytes("some text"));
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes changed = sealed;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    EXPECT_ERROR(ErrorCode::kCorrupt, "", (void)OpenSealed(kKey, "c", changed));
  }
}

TEST(Seal, EveryCutAndAnyAdditionIsNoticed) {
  Bytes sealed = Seal(kKey, "c", AsBytes("some text"));
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_ERROR(ErrorCode::kCorrupt, "", (void)OpenSealed(kKey, "c", ByteView(sealed).first(size)));
  }
  sealed.push_back(0);
  EXPECT_ERROR(ErrorCode::kCorrupt, "does not open", (void)OpenSealed(kKey, "c", sealed));
}

TEST(Seal, OtherKeyOrContextDoesNotOpen) {
  const Bytes sealed = Seal(kKey, "vault/exemplars", AsBytes("some text"));
  EXPECT_ERROR(ErrorCode::kCorrupt, "does not open", (void)OpenSealed(SealKey(KeyBytes(2)), "vault/exemplars", sealed));
  EXPECT_ERROR(ErrorCode::kCorrupt, "is not 'vault/residual'", (void)OpenSealed(kKey, "vault/residual", sealed));
}

TEST(Seal, SameTextIsNeverSealedAlike) {
  std::set<Bytes> sealed;
  for (int i = 0; i < 50; ++i) sealed.insert(Seal(kKey, "c", AsBytes("some text")));
  EXPECT_EQ(sealed.size(), 50u);
}

class SealedFile : public testing::Test {
 protected:
  [[nodiscard]] unsigned ModeOf(const Path& path) const {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_mode & 0777u;
  }
  testing_support::Scratch scratch_;
  FileSystem& files_ = RealFileSystem();
};

TEST_F(SealedFile, ComesBackAndIsPrivateAndUnreadable) {
  const Path path = scratch_ / "exemplars";
  WriteSealedFile(files_, path, kKey, "c", AsBytes("some text"));
  EXPECT_EQ(AsText(ReadSealedFile(files_, path, kKey, "c")), "some text");
  EXPECT_EQ(ModeOf(path), 0600u);
  EXPECT_EQ(ReadFile(files_, path, 1000).find("some"), std::string::npos);
}

TEST_F(SealedFile, ErrorsNameThePath) {
  const Path path = scratch_ / "exemplars";
  WriteFileAtomically(files_, path, "not sealed");
  EXPECT_ERROR(ErrorCode::kCorrupt, path.string(), (void)ReadSealedFile(files_, path, kKey, "c"));
  EXPECT_ERROR(ErrorCode::kNotFound, (scratch_ / "none").string(),
               (void)ReadSealedFile(files_, scratch_ / "none", kKey, "c"));
}

TEST_F(SealedFile, KeyIsMadeOnceAndPrivate) {
  const Path path = scratch_ / "vault.key";
  const SealKey made = LoadOrCreateSealKey(files_, path);
  EXPECT_EQ(ModeOf(path), 0600u);
  EXPECT_EQ(LoadOrCreateSealKey(files_, path).bytes(), made.bytes());
  EXPECT_NE(LoadOrCreateSealKey(files_, scratch_ / "other.key").bytes(), made.bytes());
}

TEST_F(SealedFile, KeyOfAnotherSizeOrOpenToOthersIsRefused) {
  WriteFileAtomically(files_, scratch_ / "short", std::string(31, 'x'), 0600);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "31 bytes instead of 32",
               (void)LoadOrCreateSealKey(files_, scratch_ / "short"));
  WriteFileAtomically(files_, scratch_ / "long", std::string(33, 'x'), 0600);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "33 bytes", (void)LoadOrCreateSealKey(files_, scratch_ / "long"));
  WriteFileAtomically(files_, scratch_ / "open", std::string(32, 'x'), 0640);
  EXPECT_ERROR(ErrorCode::kConflict, "chmod 600", (void)LoadOrCreateSealKey(files_, scratch_ / "open"));
}

}  // namespace
}  // namespace hemafed
