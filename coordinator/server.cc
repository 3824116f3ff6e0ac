// SPDX-License-Identifier: Apache-2.0
#include "coordinator/server.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <variant>

#include "common/error.h"
#include "coordinator/service.h"
#include "coordinator/solver_process.h"
#include "protocol/wire/allowlist.h"
#include "protocol/wire/authenticator.h"
#include "protocol/wire/server_endpoint.h"
#include "protocol/wire/wire_context.h"

namespace hemafed::coordinator {

using nlohmann::json;

namespace {

constexpr std::int64_t kTickMs = 1000;

// The key of a connection, from the name that the authenticator gives strangers on the enrolment endpoint.
Bytes EnrolmentKey(const std::string& user_id) {
  constexpr std::string_view kPrefix = "enrol:";
  const auto key =
      user_id.starts_with(kPrefix) ? HexDecode(std::string_view(user_id).substr(kPrefix.size())) : std::nullopt;
  if (!key) throw Error(ErrorCode::kInternal, "a connection on the enrolment endpoint has no key");
  return *key;
}

wire::CurveKey ToCurveKey(const Bytes& bytes) {
  wire::CurveKey key{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), key.size()), key.begin());
  return key;
}

// Admits exactly the roster.
class AdmittedLabs {
 public:
  explicit AdmittedLabs(wire::Allowlist& allowlist) : allowlist_(allowlist) {}

  void Follow(const std::map<std::string, LabIdentity>& roster) {
    for (const auto& [site, lab] : roster) {
      if (admitted_.insert(site).second) allowlist_.Allow(ToCurveKey(lab.curve_key), site);
    }
    std::erase_if(admitted_, [&](const std::string& site) {
      if (roster.contains(site)) return false;
      allowlist_.Revoke(site);
      return true;
    });
  }

 private:
  wire::Allowlist& allowlist_;
  std::set<std::string> admitted_;
};

// What hospitals said of their latents so far; null for the first one, which had none to be compared with.
json DriftStatus(const FederationState& state) {
  json hospitals = json::array();
  for (const DescribedLatents& hospital : state.described()) {
    const DriftReport* report = hospital.drift ? std::get_if<DriftReport>(&*hospital.drift) : nullptr;
    hospitals.push_back({{"site", hospital.site},
                         {"said", hospital.drift ? DriftAnswerToJson(*hospital.drift) : json(nullptr)},
                         {"unlike_the_consortium", report != nullptr && report->IsUnlike()}});
  }
  return hospitals;
}

std::string StatusText(const Service& service, const wire::ServerEndpoint& work, std::int64_t now_ms) {
  const FederationState& state = service.state();
  json sites = json::object();
  for (const auto& [site, view] : service.sites()) {
    sites[site] = {{"connected", view.connected},
                   {"software", view.software},
                   {"phase", view.phase},
                   {"done", view.done},
                   {"total", view.total},
                   {"pictures_per_s", view.pictures_per_s},
                   {"silent_ms", view.connected ? now_ms - view.heard_ms : -1}};
  }
  json status = {{"phase", PhaseName(state.phase())},       {"log_size", service.log().size()},
                 {"log_root", service.log().root().Hex()},  {"bytes_received", work.traffic().received_bytes},
                 {"bytes_sent", work.traffic().sent_bytes}, {"sites", std::move(sites)}};
  if (state.has_plan()) {
    status["plan"] = state.plan().name;
    status["plan_digest"] = state.plan_digest().Hex();
    status["task"] = state.task();
    status["tasks"] = state.plan().tasks.size();
    status["round"] = state.round();
    status["rounds"] = state.task() < state.plan().tasks.size() ? state.plan().tasks[state.task()].rounds : 0;
    status["model"] = state.scored_model().Hex();
    status["participants"] = state.participants();
    status["awaited"] = state.Awaited();
    json missing_files = json::array();
    for (const Digest& file : service.MissingFiles()) missing_files.push_back(file.Hex());
    status["waiting_for_files"] = std::move(missing_files);
    const auto stuck = service.Stuck();
    status["needs_a_person"] = stuck ? json(*stuck) : json(nullptr);
    if (state.plan().drift) status["drift"] = DriftStatus(state);
    status["missing_agreements"] = state.MissingAgreements();
    status["missing_removals"] = state.MissingRemovals();
  }
  return status.dump(1) + "\n";
}

}  // namespace

void RunServer(FileSystem& files, const Clock& clock, const Consortium& consortium, bool until_finished,
               const ServerHooks& hooks) {
  Service service(files, clock, consortium, std::make_unique<ProcessHeadSolver>(files));
  wire::WireContext context;
  wire::Allowlist allowlist;
  AdmittedLabs admitted(allowlist);
  admitted.Follow(service.state().roster());
  wire::Authenticator authenticator(context, allowlist, clock);
  wire::ServerEndpoint work(context, allowlist,
                            {.bind_to = consortium.settings.work_bind,
                             .keys = consortium.server_key,
                             .domain = wire::AdmissionDomain::kWork});
  wire::ServerEndpoint enrol(context, allowlist,
                             {.bind_to = consortium.settings.enrol_bind,
                              .keys = consortium.server_key,
                              .domain = wire::AdmissionDomain::kEnrol});
  if (hooks.on_started) hooks.on_started([&work] { work.Wake(); });
  hooks.print("consortium " + consortium.settings.name + ": work on " + work.bound_endpoint() + ", enrolment on " +
              enrol.bound_endpoint() + ", log of " + std::to_string(service.log().size()) + " entries");

  const auto deliver = [&](const std::vector<wire::Outgoing>& messages) {
    for (const wire::Outgoing& out : messages) {
      const auto peer = work.PeerOf(out.user);
      // A site that is gone asks again when it is back; nothing is lost by not sending.
      if (peer) (void)work.SendTo(*peer, out.message);
    }
  };
  std::int64_t next_tick_ms = clock.MonotonicMs();
  while (!hooks.stop()) {
    const std::int64_t now_ms = clock.MonotonicMs();
    if (now_ms >= next_tick_ms) {
      next_tick_ms = now_ms + kTickMs;
      deliver(service.Tick());
      admitted.Follow(service.state().roster());
      WriteFileAtomically(files, consortium.folder.StatusFile(), StatusText(service, work, now_ms));
    }
    (void)wire::WaitForServers({&work, &enrol}, static_cast<int>(std::max<std::int64_t>(0, next_tick_ms - now_ms)));

    while (auto incoming = work.Receive(0)) {
      if (const auto* refusal = std::get_if<wire::Refusal>(&incoming->content)) {
        (void)work.SendTo(incoming->peer, *refusal);
        continue;
      }
      deliver(service.Handle(incoming->peer.user_id, std::get<wire::Message>(incoming->content)));
    }
    while (auto event = work.NextEvent()) {
      if (event->kind == wire::ServerEvent::Kind::kPeerLeft) {
        if (!work.PeerOf(event->peer.user_id)) deliver(service.Drop(event->peer.user_id));
      } else {
        hooks.print("refused a connection: " + event->detail);
      }
    }
    while (auto incoming = enrol.Receive(0)) {
      const auto* message = std::get_if<wire::Message>(&incoming->content);
      (void)enrol.SendTo(incoming->peer, message != nullptr
                                             ? service.HandleEnrolment(EnrolmentKey(incoming->peer.user_id), *message)
                                             : wire::Message(std::get<wire::Refusal>(incoming->content)));
    }
    while (auto event = enrol.NextEvent()) {
      if (event->kind == wire::ServerEvent::Kind::kHandshakeRefused)
        hooks.print("refused a connection: " + event->detail);
    }
    for (const std::string& line : service.TakeNews()) hooks.print(line);
    const bool everyone_left = std::none_of(service.sites().begin(), service.sites().end(),
                                            [](const auto& site) { return site.second.connected; });
    if (until_finished && service.state().phase() == Phase::kClosed && everyone_left) break;
  }
  WriteFileAtomically(files, consortium.folder.StatusFile(), StatusText(service, work, clock.MonotonicMs()));
}

}  // namespace hemafed::coordinator
