// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/join.h"

#include <algorithm>

#include "common/error.h"
#include "protocol/federation/invitation.h"
#include "protocol/federation/signing.h"
#include "protocol/log/canonical_json.h"
#include "protocol/wire/client_endpoint.h"
#include "protocol/wire/messages.h"
#include "protocol/wire/wire_context.h"

namespace hemafed::agent {

namespace {

// Two people on the telephone do not notice two seconds; the coordinator does not notice the question.
constexpr std::int64_t kAskAgainMs = 2'000;
constexpr int kWaitMs = 200;

wire::CurveKey ToCurveKey(const Bytes& bytes) {
  wire::CurveKey key{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), key.size()), key.begin());
  return key;
}

}  // namespace

void Join(FileSystem& files, const Clock& clock, const SiteFolder& folder, const std::string& token,
          std::int64_t patience_ms, const JoinHooks& hooks) {
  const Invitation invitation = Invitation::FromToken(token);
  if (invitation.expires_ms < clock.WallMs()) {
    throw Error(ErrorCode::kRefused,
                "this invitation has expired (or this machine's clock is wrong); ask for a new one");
  }
  const LabIdentity lab = EnsureIdentity(files, folder, invitation.slot);
  const SiteKeys keys = SiteKeys::Load(files, folder);
  const std::string fingerprint = Fingerprint(lab, invitation.server_key);
  hooks.print("this lab's fingerprint: " + fingerprint);
  hooks.print("read it to the operator of " + invitation.log_name + " over the telephone; both must see the same");

  wire::WireContext context;
  wire::ClientEndpoint endpoint(context, clock,
                                {.server_endpoint = invitation.enrol_endpoint,
                                 .server_key = ToCurveKey(invitation.server_key),
                                 .keys = keys.curve});
  const wire::EnrolRequest request{.slot = invitation.slot,
                                   .secret = invitation.secret,
                                   .lab_entry = CanonicalJson(lab.ToJson()),
                                   .signature = SignLabIdentity(keys.statement, lab)};
  wire::EnrolPoll poll{.slot = invitation.slot, .curve_public_key = keys.curve.public_key};

  const std::int64_t started_ms = clock.MonotonicMs();
  std::int64_t ask_ms = started_ms;
  bool presented = false;  // The coordinator has answered our request.
  while (true) {
    if (hooks.stop())
      throw Error(ErrorCode::kInterrupted, "stopped before approval; run the same command again to go on");
    const std::int64_t now_ms = clock.MonotonicMs();
    if (!presented && now_ms - started_ms > patience_ms) {
      throw Error(ErrorCode::kUnavailable,
                  "cannot reach " + invitation.enrol_endpoint + ": " + endpoint.ExplainFailure());
    }
    if (endpoint.ready() && now_ms >= ask_ms) {
      (void)endpoint.Send(presented ? wire::Message(poll) : wire::Message(request));
      ask_ms = now_ms + kAskAgainMs;
    }
    const auto received = endpoint.Receive(kWaitMs);
    while (const auto event = endpoint.NextEvent()) {
      if (event->news == wire::ConnectionNews::kReady) ask_ms = clock.MonotonicMs();
    }
    if (!received || !std::holds_alternative<wire::Message>(*received)) continue;
    const auto& message = std::get<wire::Message>(*received);
    if (const auto* refusal = std::get_if<wire::Refusal>(&message)) {
      throw Error(ErrorCode::kRefused, refusal->text);
    }
    const auto* status = std::get_if<wire::EnrolStatus>(&message);
    if (status == nullptr) continue;
    if (status->fingerprint != fingerprint) {
      throw Error(ErrorCode::kRefused, "the other end shows another fingerprint (" + status->fingerprint +
                                           "): somebody is in between, or the token was altered; do not go on");
    }
    if (status->state == wire::EnrolState::kRejected)
      throw Error(ErrorCode::kRefused, "the operator rejected this lab");
    if (status->state == wire::EnrolState::kApproved) break;
    if (!presented) hooks.print("waiting for the operator's approval");
    presented = true;
  }
  Membership{.slot = invitation.slot,
             .work_endpoint = invitation.work_endpoint,
             .server_key = invitation.server_key,
             .log_name = invitation.log_name,
             .log_key = invitation.log_key,
             .operator_key = invitation.operator_key}
      .Save(files, folder.MembershipFile());
  hooks.print("approved: this lab is " + invitation.slot + " of " + invitation.log_name);
}

}  // namespace hemafed::agent
