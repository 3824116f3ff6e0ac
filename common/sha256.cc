// SPDX-License-Identifier: Apache-2.0
#include "common/sha256.h"

#include <openssl/evp.h>

#include <algorithm>

#include "common/error.h"

namespace hemafed {

namespace {
void Check(int ok) {
  if (ok != 1) throw Error(ErrorCode::kInternal, "SHA-256: OpenSSL reported a failure");
}
}  // namespace

std::optional<Digest> Digest::FromHex(std::string_view text) {
  const auto decoded = HexDecode(text);
  if (!decoded || decoded->size() != 32) return std::nullopt;
  Digest digest;
  std::copy(decoded->begin(), decoded->end(), digest.bytes.begin());
  return digest;
}

struct Sha256::State {
  State() : context(EVP_MD_CTX_new()) { Start(); }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  void Start() { Check(EVP_DigestInit_ex(context, EVP_sha256(), nullptr)); }

  EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::Update(ByteView bytes) {
  Check(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()));
  return *this;
}

Digest Sha256::Finish() {
  Digest digest;
  Check(EVP_DigestFinal_ex(state_->context, digest.bytes.data(), nullptr));
  state_->Start();
  return digest;
}

Digest Sha256Of(ByteView bytes) { return Sha256().Update(bytes).Finish(); }

}  // namespace hemafed
