// SPDX-License-Identifier: Apache-2.0
//
// Messages that a lab should not send and a coordinator should not send: refused, and nothing changes.
#include <gtest/gtest.h>

#include "tests/expect_error.h"
#include "tests/scenarios/federation_harness.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::FederationHarness;
using testing_support::KeyNumber;
using testing_support::Scratch;

class HostileLab : public testing::Test {
 protected:
  HostileLab() : harness_(scratch_.path(), {}) {
    while (harness_.service().state().phase() != Phase::kRoundOpen) harness_.Run(1);
    harness_.inbox("second").clear();
    size_ = harness_.service().log().size();
  }
  // What the coordinator answers to "second", which takes no part in the first task.
  wire::Refusal RefusalTo(const wire::Message& message) {
    harness_.inbox("second").clear();
    harness_.Deliver("second", message);
    if (harness_.inbox("second").empty()) throw Error(ErrorCode::kInternal, "no answer");
    const auto refusal = std::get<wire::Refusal>(harness_.inbox("second").front());
    EXPECT_EQ(harness_.service().log().size(), size_) << "the log grew";
    return refusal;
  }
  SiteStatement Statement(StatementKind kind, nlohmann::json body) {
    return {
        .kind = kind, .task = 0, .round = 0, .subject = harness_.service().state().model(), .body = std::move(body)};
  }
  wire::Submission Submit(const SiteStatement& statement, const Ed25519KeyPair& key) {
    return {static_cast<std::uint16_t>(statement.kind), statement.ToText(),
            SignSiteStatement(key, harness_.service().state().plan_digest(), statement)};
  }

  Scratch scratch_;
  FederationHarness harness_;
  std::uint64_t size_ = 0;
};

TEST_F(HostileLab, CannotFetchOrPutWhatIsNotItsBusiness) {
  const Digest secret = Sha256Of("something else");
  EXPECT_EQ(RefusalTo(wire::Get{secret, 0, 100}).code, wire::RefusalCode::kNotAuthorised);
  EXPECT_EQ(RefusalTo(wire::Put{secret, 100}).code, wire::RefusalCode::kNotAuthorised);
}

TEST_F(HostileLab, CannotAnswerForARoundItDoesNotTakePartIn) {
  const auto keys = harness_.KeysOf("second");
  const auto refusal = RefusalTo(Submit(Statement(StatementKind::kUpdate, UpdateReport{}.ToJson()), keys.statement));
  EXPECT_NE(refusal.text.find("does not take part"), std::string::npos) << refusal.text;
}

TEST_F(HostileLab, CannotSpeakWithAnotherKeyOrAnothersStatement) {
  const SiteStatement statement = Statement(StatementKind::kUpdate, UpdateReport{}.ToJson());
  EXPECT_NE(RefusalTo(Submit(statement, KeyNumber(90))).text.find("not signed by"), std::string::npos);
  EXPECT_NE(RefusalTo(Submit(statement, harness_.KeysOf("first").statement)).text.find("not signed by"),
            std::string::npos);
}

TEST_F(HostileLab, MalformedBodiesAreRefusedWithAReason) {
  for (const std::string body : {"", "{}", "[]", "{\"kind\":\"update\"}", "not json", "{\"kind\":\"update\", }"}) {
    const auto refusal = RefusalTo(wire::Submission{2, body, {}});
    EXPECT_EQ(refusal.code, wire::RefusalCode::kBadContent) << body;
    EXPECT_FALSE(refusal.text.empty());
  }
}

TEST_F(HostileLab, MessagesOfTheOtherDirectionAreUnexpected) {
  EXPECT_EQ(RefusalTo(wire::Welcome{}).code, wire::RefusalCode::kUnexpected);
  EXPECT_EQ(RefusalTo(wire::Assignment{"{}"}).code, wire::RefusalCode::kUnexpected);
  EXPECT_EQ(RefusalTo(wire::EnrolRequest{}).code, wire::RefusalCode::kUnexpected);
}

TEST_F(HostileLab, AClockTenMinutesOffIsNamed) {
  const auto refusal = RefusalTo(wire::Hello{.software = "x", .wall_ms = harness_.clock().WallMs() + 11 * 60 * 1000});
  EXPECT_EQ(refusal.code, wire::RefusalCode::kClockSkew);
  EXPECT_NE(refusal.text.find("11 minutes"), std::string::npos) << refusal.text;
}

TEST_F(HostileLab, TheFederationGoesOnAfterAllOfThem) {
  for (int i = 0; i < 100; ++i) harness_.Deliver("second", wire::Get{Sha256Of("x"), 0, 1});
  harness_.inbox("second").clear();
  harness_.KillAgent("second");
  EXPECT_TRUE(harness_.Run());
}

class HostileCoordinator : public testing::Test {
 protected:
  HostileCoordinator() : harness_(scratch_.path(), {}) {
    while (harness_.service().state().phase() != Phase::kRoundOpen) harness_.Run(1);
    session_ = std::make_unique<agent::Session>(
        RealFileSystem(), harness_.clock(), agent::SiteFolder{scratch_ / "first"},
        agent::Membership::Load(RealFileSystem(), scratch_ / "first" / "agent" / "membership.json"),
        harness_.KeysOf("first").statement);
    good_ = AssignmentFor(harness_.service().state(), "first");
  }
  void Offer(const Assignment& assignment) { (void)session_->Handle(wire::Assignment{assignment.ToText()}); }

  Scratch scratch_;
  FederationHarness harness_;
  std::unique_ptr<agent::Session> session_;
  Assignment good_;
};

TEST_F(HostileCoordinator, APlanThatTheOperatorDidNotSignIsNotWorkedFor) {
  Assignment forged = good_;
  forged.plan_signature = SignOperatorPlan(KeyNumber(91), *forged.plan);
  EXPECT_ERROR(ErrorCode::kRefused, "not signed by this consortium's operator", Offer(forged));
}

TEST_F(HostileCoordinator, AJobOfAnotherSiteIsNotRun) {
  Assignment swapped = good_;
  swapped.job->site = "second";
  EXPECT_ERROR(ErrorCode::kRefused, "another site", Offer(swapped));
}

TEST_F(HostileCoordinator, ACheckpointOfAnotherKeyIsRefused) {
  wire::Welcome welcome{.site = "first", .checkpoint = "test\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"};
  EXPECT_THROW((void)session_->Handle(welcome), Error);
  welcome.site = "second";
  welcome.checkpoint = harness_.service().log().CheckpointNote();
  EXPECT_ERROR(ErrorCode::kRefused, "knows this key as second", (void)session_->Handle(welcome));
}

TEST_F(HostileCoordinator, AnObjectThatItDoesNotHoldEndsTheSession) {
  Assignment unknown = good_;
  unknown.job->model = Sha256Of("no such model");
  Offer(unknown);
  EXPECT_ERROR(ErrorCode::kRefused, "does not hold the object",
               (void)session_->Handle(wire::HaveReply{Sha256Of("no such model"), false, 0}));
}

}  // namespace
}  // namespace hemafed
