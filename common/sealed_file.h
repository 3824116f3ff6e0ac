// common/sealed_file.h
// SPDX-License-Identifier: Apache-2.0
//
// Files encrypted at rest: AES-256-GCM (NIST SP 800-38D) through OpenSSL. For what must not be readable on a lost disk,
// such as the list of exemplars in a site's vault.
//
//     bytes 0..7    "HMFSEAL1"
//     bytes 8..19   nonce, 12 random bytes, new at every sealing
//     then          ciphertext, as long as the plaintext
//     last 16       authentication tag
//
// Authenticated beside the ciphertext: the 20 bytes of the header and the context, a text that says what the file is
// ("vault/exemplars"). A file that was changed, cut, or put in the place of another context does not open.
//
// Random nonces allow 2^32 sealings with one key before two may collide with a probability of 2^-32; a vault that is
// rewritten every second gets there after 136 years. What sealing does not show: that an old version of the same file
// was put back. A key file that other users could read is refused.
//
// Errors: kCorrupt: not a sealed file, wrong key, wrong context, or changed bytes (which of them cannot be told apart);
// kInvalidInput: a key file that does not have 32 bytes, or too much plaintext; kConflict: a key open to others;
// kInternal: OpenSSL failed; those of FileSystem. Messages hold no keys and no plaintext. Thread-safety: free
// functions.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "common/bytes.h"
#include "common/file_system.h"

namespace hemafed {

// Largest plaintext in bytes: lists and settings, not pictures; far below the 64 GiB that GCM allows.
inline constexpr std::uint64_t kMaxSealedBytes = 256u << 20;

// Forgets its bytes when it goes.
class SealKey {
 public:
  static constexpr std::size_t kBytes = 32;

  explicit SealKey(const std::array<std::uint8_t, kBytes>& bytes) : bytes_(bytes) {}
  ~SealKey();
  SealKey(const SealKey&) = default;
  SealKey& operator=(const SealKey&) = default;
  [[nodiscard]] const std::array<std::uint8_t, kBytes>& bytes() const { return bytes_; }

 private:
  std::array<std::uint8_t, kBytes> bytes_;
};

// The key in a file of 32 raw bytes; makes a random one (mode 0600, durable) if there is no such file.
[[nodiscard]] SealKey LoadOrCreateSealKey(FileSystem& files, const Path& path);

[[nodiscard]] Bytes Seal(const SealKey& key, std::string_view context, ByteView plaintext);
[[nodiscard]] Bytes OpenSealed(const SealKey& key, std::string_view context, ByteView sealed);

// The same to and from a file; writing is atomic, mode 0600. Errors name the path.
void WriteSealedFile(FileSystem& files, const Path& path, const SealKey& key, std::string_view context,
                     ByteView plaintext);
[[nodiscard]] Bytes ReadSealedFile(FileSystem& files, const Path& path, const SealKey& key, std::string_view context);

}  // namespace hemafed
