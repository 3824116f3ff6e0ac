// SPDX-License-Identifier: Apache-2.0
#include "coordinator/enrolment.h"

#include <gtest/gtest.h>

#include "protocol/federation/signing.h"
#include "protocol/log/canonical_json.h"
#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/scratch.h"

namespace hemafed::coordinator {
namespace {

using hemafed::testing_support::Lab;
using hemafed::testing_support::MakeLab;
using hemafed::testing_support::Scratch;

constexpr std::int64_t kNow = 1'700'000'000'000;

class Enrolment : public testing::Test {
 protected:
  Enrolment() {
    CreateConsortium(files_, folder_,
                     {.name = "test",
                      .work_endpoint = "tcp://127.0.0.1:1",
                      .enrol_endpoint = "tcp://127.0.0.1:2",
                      .work_bind = "tcp://127.0.0.1:1",
                      .enrol_bind = "tcp://127.0.0.1:2"},
                     scratch_ / "operator.pem");
    consortium_ = std::make_unique<Consortium>(LoadConsortium(files_, folder_));
    invitation_ = Invite(files_, *consortium_, "munich", kNow);
  }

  wire::EnrolRequest Request(const Lab& lab) const {
    return {.slot = lab.identity.slot,
            .secret = invitation_.secret,
            .lab_entry = CanonicalJson(lab.identity.ToJson()),
            .signature = SignLabIdentity(lab.key, lab.identity)};
  }
  wire::Message Answer(const wire::EnrolRequest& request, const Bytes& connection_key, std::int64_t now = kNow) {
    return AnswerEnrolment(files_, *consortium_, state_, request, connection_key, now);
  }
  static void ExpectRefused(const wire::Message& answer, wire::RefusalCode code) {
    const auto* refusal = std::get_if<wire::Refusal>(&answer);
    ASSERT_NE(refusal, nullptr);
    EXPECT_EQ(refusal->code, code) << refusal->text;
  }

  Scratch scratch_;
  FileSystem& files_ = RealFileSystem();
  ConsortiumFolder folder_{scratch_ / "consortium"};
  std::unique_ptr<Consortium> consortium_;
  Invitation invitation_;
  Lab lab_ = MakeLab("munich", 21);
  FederationState state_{[](const Digest&) { return std::string(); }};
};

TEST_F(Enrolment, AnInvitedLabWaitsWithTheFingerprintThatBothSidesCompute) {
  const auto answer = Answer(Request(lab_), lab_.identity.curve_key);
  const auto* status = std::get_if<wire::EnrolStatus>(&answer);
  ASSERT_NE(status, nullptr);
  EXPECT_EQ(status->state, wire::EnrolState::kPending);
  EXPECT_EQ(status->fingerprint, Fingerprint(lab_.identity, invitation_.server_key));
  ASSERT_EQ(ListPending(files_, *consortium_).size(), 1u);
  EXPECT_EQ(ListPending(files_, *consortium_)[0].fingerprint, status->fingerprint);
}

TEST_F(Enrolment, TokensSurviveTheirTextAndNothingElseIsOne) {
  EXPECT_EQ(Invitation::FromToken(invitation_.ToToken()).secret, invitation_.secret);
  EXPECT_EQ(Invitation::FromToken(invitation_.ToToken()).log_key, consortium_->log_key.PublicKey());
  for (const std::string text : {"", "hemafed1.", "hemafed1.????", "hemafed2.e30", "x"}) {
    EXPECT_THROW((void)Invitation::FromToken(text), Error) << text;
  }
}

TEST_F(Enrolment, WrongSecretExpiredTokenAndUnknownSlotSoundAlikeAndLeaveNothing) {
  wire::EnrolRequest wrong = Request(lab_);
  wrong.secret[0] ^= 1;
  ExpectRefused(Answer(wrong, lab_.identity.curve_key), wire::RefusalCode::kBadToken);
  ExpectRefused(Answer(Request(lab_), lab_.identity.curve_key, kNow + kInvitationValidMs + 1),
                wire::RefusalCode::kBadToken);
  const Lab other = MakeLab("berlin", 22);
  ExpectRefused(Answer(Request(other), other.identity.curve_key), wire::RefusalCode::kBadToken);
  wire::EnrolRequest escape = Request(lab_);
  escape.slot = "../munich";
  ExpectRefused(Answer(escape, lab_.identity.curve_key), wire::RefusalCode::kBadToken);
  EXPECT_TRUE(ListPending(files_, *consortium_).empty());
}

TEST_F(Enrolment, AnotherConnectionsKeyOrAForeignSignatureIsRefused) {
  ExpectRefused(Answer(Request(lab_), Bytes(32, 99)), wire::RefusalCode::kBadSignature);
  wire::EnrolRequest forged = Request(lab_);
  forged.signature = SignLabIdentity(hemafed::testing_support::KeyNumber(50), lab_.identity);
  ExpectRefused(Answer(forged, lab_.identity.curve_key), wire::RefusalCode::kBadSignature);
  wire::EnrolRequest garbage = Request(lab_);
  garbage.lab_entry = "{\"slot\":1}";
  ExpectRefused(Answer(garbage, lab_.identity.curve_key), wire::RefusalCode::kMalformed);
}

TEST_F(Enrolment, ApprovalNeedsTheFingerprintThatTheLabShows) {
  (void)Answer(Request(lab_), lab_.identity.curve_key);
  const auto operator_key = Ed25519KeyPair::Load(files_, scratch_ / "operator.pem");
  EXPECT_ERROR(ErrorCode::kRefused, "compare again",
               Approve(files_, *consortium_, operator_key, "munich", "aaaa-bbbb-cccc-dddd"));
  EXPECT_ERROR(ErrorCode::kNotFound, "no lab waits", Approve(files_, *consortium_, operator_key, "berlin", "x"));
  EXPECT_TRUE(ReadInbox(files_, *consortium_).empty());
  Approve(files_, *consortium_, operator_key, "munich", Fingerprint(lab_.identity, invitation_.server_key));
  const auto decisions = ReadInbox(files_, *consortium_);
  ASSERT_EQ(decisions.size(), 1u);
  EXPECT_TRUE(VerifyOperatorRoster(consortium_->operator_key, std::get<RosterEntry>(decisions[0].entry)));
  Settle(files_, *consortium_, decisions[0]);
  EXPECT_TRUE(ReadInbox(files_, *consortium_).empty());
  // The invitation went with it: the token cannot be used again.
  ExpectRefused(Answer(Request(lab_), lab_.identity.curve_key), wire::RefusalCode::kBadToken);
}

TEST_F(Enrolment, ALabMayAskOnlyAboutItsOwnKey) {
  (void)Answer(Request(lab_), lab_.identity.curve_key);
  wire::EnrolPoll poll{.slot = "munich"};
  std::copy(lab_.identity.curve_key.begin(), lab_.identity.curve_key.end(), poll.curve_public_key.begin());
  EXPECT_TRUE(std::holds_alternative<wire::EnrolStatus>(
      AnswerPoll(files_, *consortium_, state_, poll, lab_.identity.curve_key)));
  ExpectRefused(AnswerPoll(files_, *consortium_, state_, poll, Bytes(32, 99)), wire::RefusalCode::kBadSignature);
}

TEST_F(Enrolment, APlanThatDoesNotParseIsNeverSigned) {
  WriteFileAtomically(files_, scratch_ / "plan.toml", "format = 2\nname = \"x\"\nunknown = 1\n");
  const auto operator_key = Ed25519KeyPair::Load(files_, scratch_ / "operator.pem");
  EXPECT_THROW(SubmitPlan(files_, *consortium_, operator_key, scratch_ / "plan.toml"), Error);
  EXPECT_TRUE(ReadInbox(files_, *consortium_).empty());
}

}  // namespace
}  // namespace hemafed::coordinator
