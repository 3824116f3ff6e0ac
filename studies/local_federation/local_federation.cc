// SPDX-License-Identifier: Apache-2.0
#include "studies/local_federation/local_federation.h"

#include <algorithm>
#include <utility>

#include "codec/exchange.h"
#include "common/error.h"
#include "coordinator/enrolment.h"
#include "protocol/federation/signing.h"
#include "protocol/log/canonical_json.h"
#include "protocol/wire/zmq_calls.h"
#include "site_agent/agent/agree.h"
#include "studies/local_federation/derived_keys.h"

namespace hemafed::studies {

namespace {

// Nobody dials these: there are no sockets.
constexpr const char* kWorkEndpoint = "tcp://127.0.0.1:1";
constexpr const char* kEnrolEndpoint = "tcp://127.0.0.1:2";

wire::Message ReadBack(ByteView frame) {
  auto decoded = wire::DecodeMessage(frame);
  if (const auto* bad = std::get_if<wire::BadMessage>(&decoded)) {
    throw Error(ErrorCode::kInternal, "a message cannot be read back from its wire form: " + bad->reason);
  }
  return std::move(std::get<wire::Message>(decoded));
}

}  // namespace

LocalFederation::LocalFederation(Options options)
    : options_(std::move(options)),
      coordinator_files_(*options_.coordinator_files),
      site_files_(*options_.site_files) {}

Ed25519KeyPair LocalFederation::OperatorKey() const {
  return Ed25519KeyPair::Load(coordinator_files_, OperatorKeyFile());
}

void LocalFederation::Found() {
  const coordinator::ConsortiumFolder folder = ConsortiumAt();
  coordinator_files_.CreateFolders(folder.root);
  if (options_.key_seed) {
    DerivedSigningKey(*options_.key_seed, "operator").Save(coordinator_files_, OperatorKeyFile());
  }
  coordinator::CreateConsortium(coordinator_files_, folder,
                                {.name = options_.name,
                                 .work_endpoint = kWorkEndpoint,
                                 .enrol_endpoint = kEnrolEndpoint,
                                 .work_bind = kWorkEndpoint,
                                 .enrol_bind = kEnrolEndpoint},
                                OperatorKeyFile());
  if (!options_.key_seed) return;
  coordinator_files_.Remove(folder.LogKey());
  DerivedSigningKey(*options_.key_seed, "log").Save(coordinator_files_, folder.LogKey());
  coordinator_files_.Remove(folder.ServerKey());
  wire::SaveCurveKeyPair(coordinator_files_, folder.ServerKey(), DerivedCurveKey(*options_.key_seed, "server"));
}

void LocalFederation::StartCoordinator() {
  if (!consortium_) {
    consortium_ =
        std::make_unique<coordinator::Consortium>(coordinator::LoadConsortium(coordinator_files_, ConsortiumAt()));
  }
  service_ = std::make_unique<coordinator::Service>(coordinator_files_, *options_.clock, *consortium_);
}

void LocalFederation::MakeSiteKeys(const std::string& site) {
  if (!options_.key_seed) return;  // EnsureIdentity makes random ones.
  const agent::SiteFolder folder = FolderOf(site);
  site_files_.CreateFolders(folder.Agent(), 0700);
  site_files_.CreateFolders(folder.Keys(), 0700);
  wire::SaveCurveKeyPair(site_files_, folder.CurveKeyFile(), DerivedCurveKey(*options_.key_seed, site + "/curve"));
  DerivedSigningKey(*options_.key_seed, site + "/statement").Save(site_files_, folder.StatementKeyFile());
  DerivedSigningKey(*options_.key_seed, site + "/witness").Save(site_files_, folder.WitnessKeyFile());
}

void LocalFederation::Enrol(const std::string& site) {
  const agent::SiteFolder folder = FolderOf(site);
  site_files_.CreateFolders(folder.root);
  MakeSiteKeys(site);
  const LabIdentity lab = agent::EnsureIdentity(site_files_, folder, site);
  const agent::SiteKeys keys = agent::SiteKeys::Load(site_files_, folder);
  const Invitation invitation = Invitation::FromToken(
      coordinator::Invite(coordinator_files_, *consortium_, site, options_.clock->WallMs()).ToToken());
  const wire::Message answer =
      service_->HandleEnrolment(lab.curve_key, wire::EnrolRequest{.slot = site,
                                                                  .secret = invitation.secret,
                                                                  .lab_entry = CanonicalJson(lab.ToJson()),
                                                                  .signature = SignLabIdentity(keys.statement, lab)});
  const auto* status = std::get_if<wire::EnrolStatus>(&answer);
  if (status == nullptr) {
    throw Error(ErrorCode::kRefused, site + " was not admitted: " + std::get<wire::Refusal>(answer).text);
  }
  coordinator::Approve(coordinator_files_, *consortium_, OperatorKey(), site, status->fingerprint);
  (void)Tick();
  agent::Membership{.slot = site,
                    .work_endpoint = invitation.work_endpoint,
                    .server_key = invitation.server_key,
                    .log_name = invitation.log_name,
                    .log_key = invitation.log_key,
                    .operator_key = invitation.operator_key}
      .Save(site_files_, folder.MembershipFile());
}

void LocalFederation::SubmitPlan(const std::string& text) {
  const Path plan = options_.root / "plan.toml";
  WriteFileAtomically(coordinator_files_, plan, text);
  coordinator::SubmitPlan(coordinator_files_, *consortium_, OperatorKey(), plan);
}

void LocalFederation::Agree(const std::string& site, const std::string& plan_text) {
  const std::vector<std::string> partners = ExchangePartners(ParsePlan(plan_text, "plan"), site);
  if (!partners.empty()) agent::Agree(site_files_, FolderOf(site), plan_text, partners);
}

void LocalFederation::AdoptWeights(const Path& file, const Digest& digest) {
  ObjectStore(coordinator_files_, ConsortiumAt().root).AdoptFile(file, digest);
}

void LocalFederation::StartSite(const std::string& site) {
  const agent::SiteFolder folder = FolderOf(site);
  Site& started = sites_[site];
  started.session = std::make_unique<agent::Session>(site_files_, *options_.clock, folder,
                                                     agent::Membership::Load(site_files_, folder.MembershipFile()),
                                                     agent::SiteKeys::Load(site_files_, folder).statement);
  FromSite(site, started.session->OnReady());
}

void LocalFederation::KillCoordinator() {
  service_.reset();
  for (auto& [name, site] : sites_) {
    site.inbox.clear();
    site.outbox.clear();
  }
  StartCoordinator();
  for (auto& [name, site] : sites_) {
    if (site.session) FromSite(name, site.session->OnReady());
  }
}

void LocalFederation::KillSite(const std::string& name) {
  Site& site = sites_.at(name);
  site.session.reset();
  site.inbox.clear();
  site.outbox.clear();
  ToSites(service_->Drop(name));
  StartSite(name);
}

bool LocalFederation::DeliverOne() {
  struct Waiting {
    const std::string* name;
    Site* site;
    bool to_site;
  };
  std::vector<Waiting> waiting;
  for (auto& [name, site] : sites_) {
    if (!site.inbox.empty()) waiting.push_back({&name, &site, true});
    if (!site.outbox.empty()) waiting.push_back({&name, &site, false});
  }
  if (waiting.empty()) return false;
  const Waiting& next = waiting.at(options_.choose ? options_.choose(waiting.size()) : 0);
  std::deque<wire::Message>& queue = next.to_site ? next.site->inbox : next.site->outbox;
  const Bytes frame = wire::EncodeMessage(queue.front());
  queue.pop_front();
  if (options_.on_delivery) options_.on_delivery();
  ++delivered_;
  const std::uint64_t bytes = wire::BytesOnWire(frame.size());
  if (next.to_site) {
    traffic_.sent_bytes += bytes;
    ++traffic_.sent_messages;
    FromSite(*next.name, next.site->session->Handle(ReadBack(frame)));
  } else {
    traffic_.received_bytes += bytes;
    ++traffic_.received_messages;
    ToSites(service_->Handle(*next.name, ReadBack(frame)));
  }
  return true;
}

bool LocalFederation::PollSites() {
  bool said = false;
  for (auto& [name, site] : sites_) {
    if (!site.session) continue;
    auto messages = site.session->Poll();
    said = said || !messages.empty();
    FromSite(name, std::move(messages));
  }
  return said;
}

bool LocalFederation::Tick() {
  const std::uint64_t before = service_->log().size();
  const auto messages = service_->Tick();
  ToSites(messages);
  return !messages.empty() || service_->log().size() != before;
}

bool LocalFederation::Finished() const {
  return service_->state().phase() == Phase::kClosed && std::all_of(sites_.begin(), sites_.end(), [](const auto& site) {
           return site.second.session && site.second.session->finished();
         });
}

void LocalFederation::ToSites(const std::vector<wire::Outgoing>& messages) {
  for (const wire::Outgoing& out : messages) {
    // To a site that is not connected: lost, as on a wire.
    if (const auto site = sites_.find(out.user); site != sites_.end()) site->second.inbox.push_back(out.message);
  }
}

void LocalFederation::FromSite(const std::string& site, agent::Session::Messages messages) {
  for (wire::Message& message : messages) sites_.at(site).outbox.push_back(std::move(message));
}

}  // namespace hemafed::studies
