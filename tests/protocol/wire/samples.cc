// SPDX-License-Identifier: Apache-2.0
#include "tests/protocol/wire/samples.h"

namespace hemafed::wire::testing_support {

namespace {

template <std::size_t kSize>
std::array<std::uint8_t, kSize> Filled(std::uint8_t start) {
  std::array<std::uint8_t, kSize> bytes{};
  for (std::size_t i = 0; i < kSize; ++i) bytes[i] = static_cast<std::uint8_t>(start + i);
  return bytes;
}

}  // namespace

std::vector<Message> SampleMessages() {
  const Digest digest = Sha256Of("a");
  return {
      Refusal{RefusalCode::kWrongRound, "Round 3 is closed.\nAsk for work again.", digest},
      EnrolRequest{"lab-7", Filled<32>(1), R"({"name":"Käserei"})", Filled<64>(2)},
      EnrolPoll{"lab-7", Filled<32>(3)},
      EnrolStatus{EnrolState::kApproved, "abcd-efgh-ijkl-mnop", R"({"lab":1})"},
      Hello{"hemafed-site 0.1.0", -5, digest},
      Welcome{"matek-19", 1'700'000'000'000, digest, 12, "origin\n12\nroot\n"},
      WorkRequest{digest},
      Assignment{R"({"round":3})"},
      ProgressReport{digest, 3, 10, 123'456, 42, "train"},
      Submission{7, R"({"images":90})", Filled<64>(4)},
      Receipt{3, 12, "origin\n12\nroot\n", {digest, Sha256Of("b")}},
      Have{digest},
      HaveReply{digest, true, 99},
      Get{digest, kChunkBytes, 1000},
      Chunk{digest, kChunkBytes, kChunkBytes + 3u, {1, 2, 3}},
      ChunkAck{digest, kChunkBytes},
      Put{digest, 5},
      PutStatus{digest, kChunkBytes, 8, false},
      Ping{},
      Pong{},
  };
}

std::vector<Message> LargestMessages() {
  using namespace wire_limits;
  const auto text = [](std::size_t bytes) { return std::string(bytes, 'x'); };
  return {
      Refusal{RefusalCode::kInternal, text(kRefusalTextBytes), {}},
      EnrolRequest{text(kNameBytes), {}, text(kLabEntryBytes), {}},
      EnrolPoll{text(kNameBytes), {}},
      EnrolStatus{EnrolState::kRejected, text(kFingerprintBytes), text(kRosterEntryBytes)},
      Hello{text(kNameBytes), 0, {}},
      Welcome{text(kNameBytes), 0, {}, 0, text(kCheckpointBytes)},
      WorkRequest{},
      Assignment{text(kJsonBytes)},
      ProgressReport{{}, 0, 0, 0, 0, text(kNameBytes)},
      Submission{0, text(kJsonBytes), {}},
      Receipt{0, 0, text(kCheckpointBytes), std::vector<Digest>(kProofHashes)},
      Have{},
      HaveReply{},
      Get{},
      Chunk{{}, 0, 0, Bytes(kChunkBytes)},
      ChunkAck{},
      Put{},
      PutStatus{},
      Ping{},
      Pong{},
  };
}

}  // namespace hemafed::wire::testing_support
