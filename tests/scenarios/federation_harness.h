// tests/scenarios/federation_harness.h
// SPDX-License-Identifier: Apache-2.0
//
// A whole federation in one thread (studies/local_federation/local_federation.h) with toy trainers. Any of
// them can be killed at any message and made anew from its folder; the order in which waiting messages are delivered
// follows from a seed. Time moves only when told.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/random.h"
#include "studies/local_federation/local_federation.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/scenarios/toy_trainer.h"

namespace hemafed::testing_support {

// A model file of two small tensors and a head of width 4, as a plan's initial weights.
inline Digest WriteToyWeights(FileSystem& files, const Path& path) {
  TensorInfo conv, norm;
  conv.name = "stage.conv.weight";
  conv.shape = {3, 5};
  norm.name = "stage.norm.running_mean";
  norm.shape = {3};
  SafetensorsWriter writer(files, path, {conv, norm}, {{"hemafed.feature_width", "4"}});
  for (const TensorInfo& tensor : writer.tensors()) {
    std::vector<float> values(tensor.Values());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.125f * static_cast<float>(i + 1);
    writer.Append(tensor.name, {reinterpret_cast<const std::uint8_t*>(values.data()), tensor.bytes});
  }
  return writer.Finish();
}

class FederationHarness {
 public:
  struct Options {
    std::uint64_t order_seed = 1;             // In which order waiting messages are delivered.
    FileSystem* coordinator_files = nullptr;  // Null: the machine's.
    std::string policy = "federated";         // Or "analytic": no rehearsal and a solved head.
    std::string tasks = kSmallTasks;
    std::string top = {};       // More lines of the plan, in front of its tables.
    std::string strategy = {};  // Lines of [strategy] (consortium_fixture.h); none: uacl or finetuning.
    std::string encoding = "int32";
    std::string rule = "\"mean\"";  // Of [aggregation]; may be followed by further lines.
    std::string autoencoder = {};   // Lines of [strategy]: an autoencoder is trained, by all of `with`.
    std::string with = "\"second\"";
    bool latents = false;               // The model sees latents of an extractor that the consortium's folder holds.
    std::set<std::string> silent = {};  // Labs whose people say nothing about travelling pictures.
  };

  FederationHarness(Path root, Options options)
      : root_(std::move(root)),
        files_(RealFileSystem()),
        coordinator_files_(options.coordinator_files != nullptr ? *options.coordinator_files : files_),
        order_(options.order_seed),
        federation_(
            {.root = root_,
             .sites = root_,
             .coordinator_files = &coordinator_files_,
             .site_files = &files_,
             .clock = &clock_,
             .name = "test",
             .key_seed = {},
             .choose = [this](std::size_t waiting) { return order_.NextBelow(static_cast<std::uint32_t>(waiting)); },
             .on_delivery = {}}) {
    federation_.Found();
    const Path weights = root_ / "consortium" / "scratch" / "weights";
    const Digest digest = WriteToyWeights(coordinator_files_, weights);
    federation_.AdoptWeights(weights, digest);
    federation_.StartCoordinator();
    std::string plan =
        options.autoencoder.empty()
            ? PlanOf(options, digest)
            : AutoencoderPlanText(digest, AdoptExtractor().detector, options.autoencoder, options.top, options.with);
    if (options.latents) plan = LatentPlanText(std::move(plan), AdoptExtractor());
    const std::vector<std::string> sites = ParsePlan(plan, "plan").Sites();
    for (const std::string& site : sites) {
      federation_.Enrol(site);
      trainers_[site] = std::make_unique<ToyTrainer>(files_, federation_.FolderOf(site).Jobs(), site);
    }
    plan_text_ = plan;
    for (const std::string& site : sites) {
      if (!options.silent.contains(site)) federation_.Agree(site, plan);
    }
    federation_.SubmitPlan(plan);
    for (const std::string& site : sites) federation_.StartSite(site);
  }

  // Some files: nothing but a trainer of pictures looks into them.
  [[nodiscard]] ExtractorPlan AdoptExtractor() {
    const auto adopt = [&](const std::string& content) {
      const Path file = root_ / "consortium" / "scratch" / "extractor";
      WriteFileAtomically(coordinator_files_, file, content);
      federation_.AdoptWeights(file, Sha256Of(content));
      return Sha256Of(content);
    };
    return {.detector = adopt("what finds a cell"), .autoencoder = adopt("what describes a cell")};
  }

  [[nodiscard]] coordinator::Service& service() { return federation_.service(); }
  [[nodiscard]] studies::LocalFederation& federation() { return federation_; }
  [[nodiscard]] const std::string& plan_text() const { return plan_text_; }
  [[nodiscard]] ToyTrainer& trainer(const std::string& site) { return *trainers_.at(site); }
  [[nodiscard]] const Path& root() const { return root_; }
  [[nodiscard]] const coordinator::Consortium& consortium() const { return federation_.consortium(); }
  [[nodiscard]] Ed25519KeyPair OperatorKey() { return federation_.OperatorKey(); }
  [[nodiscard]] std::uint64_t delivered() const { return federation_.delivered(); }
  [[nodiscard]] ManualClock& clock() { return clock_; }

  // Delivers messages and runs trainers until the plan is closed at every site, or `deliveries` messages were
  // delivered. Returns whether it is closed.
  bool Run(std::uint64_t deliveries = UINT64_MAX) {
    // Far above what a plan of four rounds needs; a federation that stands still must fail, not hang.
    constexpr int kMaxIdleTurns = 50;
    int idle = 0;
    std::uint64_t entries = 0;
    const std::uint64_t until = deliveries == UINT64_MAX ? deliveries : delivered() + deliveries;
    while (!Closed()) {
      if (delivered() >= until) return false;
      if (federation_.DeliverOne()) continue;
      // Pings are no progress; entries are.
      if (const std::uint64_t now = service().log().size(); now != entries) {
        entries = now;
        idle = 0;
      }
      if (++idle > kMaxIdleTurns) throw Error(ErrorCode::kInternal, "the federation stands still: " + Describe());
      clock_.Advance(1000);
      (void)federation_.Tick();
      for (auto& [name, trainer] : trainers_) {
        if (trainer->RunAll()) idle = 0;
      }
      (void)federation_.PollSites();
    }
    return true;
  }

  // As after kill -9: everything in memory and on the way is gone.
  void KillCoordinator() { federation_.KillCoordinator(); }
  void KillAgent(const std::string& name) { federation_.KillSite(name); }

  [[nodiscard]] bool Closed() { return federation_.Finished(); }

  // Digests of all closed rounds, and of all solved heads, in order.
  [[nodiscard]] std::vector<std::string> RoundDigests() {
    std::vector<std::string> digests;
    service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
      const Entry entry = ParseEntry(text);
      if (const auto* closed = std::get_if<RoundClosedEntry>(&entry.body)) {
        digests.push_back(closed->step.Hex() + closed->model.Hex());
      }
      if (const auto* solved = std::get_if<HeadSolvedEntry>(&entry.body)) {
        digests.push_back(solved->totals.Hex() + solved->head.Hex());
      }
    });
    return digests;
  }

  // What a stranger's or a lab's message does; for hostile tests.
  void Deliver(const std::string& site, const wire::Message& message) { federation_.Inject(site, message); }
  [[nodiscard]] std::deque<wire::Message>& inbox(const std::string& site) { return federation_.inbox(site); }
  [[nodiscard]] agent::SiteKeys KeysOf(const std::string& site) {
    return agent::SiteKeys::Load(files_, federation_.FolderOf(site));
  }

  [[nodiscard]] std::string Describe() {
    std::string text = std::string(PhaseName(service().state().phase()));
    for (const std::string& line : service().TakeNews()) text += "; " + line;
    return text;
  }

 private:
  static std::string PlanOf(const Options& options, const Digest& weights) {
    if (options.policy == "analytic") return AnalyticPlanText(weights, options.tasks, options.top);
    std::string plan = SmallPlanText(weights, options.policy, options.tasks, options.top);
    if (!options.strategy.empty()) plan = WithStrategy(std::move(plan), options.strategy, options.policy);
    const std::string mean = "rule = \"mean\"";
    plan.replace(plan.find(mean), mean.size(), "rule = " + options.rule);
    plan.replace(plan.find("int32"), 5, options.encoding);
    return plan;
  }

  Path root_;
  FileSystem& files_;
  FileSystem& coordinator_files_;
  ManualClock clock_{1'700'000'000'000};
  RandomStream order_;
  studies::LocalFederation federation_;
  std::map<std::string, std::unique_ptr<ToyTrainer>> trainers_;
  std::string plan_text_;
};

}  // namespace hemafed::testing_support
