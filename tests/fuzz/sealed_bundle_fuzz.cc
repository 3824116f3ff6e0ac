// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a sealed bundle, and any bytes as the plaintext of one, which a dishonest sender can choose: either
// refused with kInvalidInput, or items within their limits that give the very same file when they are written again.
#include <cstdlib>

#include "codec/sealed_bundle.h"
#include "common/error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace hemafed;

// The keys of the published HPKE vector, with which the sample was made.
const HpkePrivateKey& Recipient() {
  static const HpkePrivateKey kKey =
      HpkePrivateKey::Derive(*HexDecode("dac33b0e9db1b59dbbea58d59a14e7b5896e9bdf98fad6891e99d1686492b9ee"));
  return kKey;
}
const HpkePrivateKey& Ephemeral() {
  static const HpkePrivateKey kKey =
      HpkePrivateKey::Derive(*HexDecode("2cd7c601cefb3d42a62b04b7a9041494c06c7843818e0ce28a8f704ae7ab20f9"));
  return kKey;
}
const BundleAddress& Address() {
  static const BundleAddress kAddress{Sha256Of("plan"), 2, "raabin", "bccd"};
  return kAddress;
}

void OpenAndWriteAgain(ByteView file) {
  const Digest digest = Sha256Of(file);
  std::vector<Bytes> pictures;
  const auto items = OpenSealedBundle(
      testing_support::MemoryFile(file), Address(), Recipient(), digest,
      [&](const BundleItem&, ByteView picture) { pictures.emplace_back(picture.begin(), picture.end()); });
  if (CheckBundleItems(items) || pictures.size() != items.size()) std::abort();
  testing_support::FaultFileSystem files;
  SealedBundleWriter writer(files, "/b", Address(), Recipient().PublicKey(), items, Ephemeral());
  for (const Bytes& picture : pictures) writer.Append(picture);
  if (writer.Finish().file != digest) std::abort();
}

void Try(ByteView file) {
  try {
    OpenAndWriteAgain(file);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) std::abort();
  }
}

// One chunk with this plaintext, whose header claims as many items as the first byte says.
Bytes SealedAround(ByteView plaintext) {
  HpkeSender sender(Recipient().PublicKey(), AsBytes("hemafed sealed bundle v1"), Ephemeral());
  const BundleHeader header{Address(), Recipient().PublicKey(), sender.encapsulated(), plaintext[0],
                            plaintext.size() - 1};
  Bytes file = header.Encode();
  Bytes aad = file;
  aad.insert(aad.end(), {0, 0, 0, 0, 1});
  const Bytes chunk = sender.Seal(aad, plaintext.subspan(1));
  file.insert(file.end(), chunk.begin(), chunk.end());
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Try({data, size});
  if (size > 1 && size <= kBundleChunkBytes) Try(SealedAround({data, size}));
  return 0;
}
