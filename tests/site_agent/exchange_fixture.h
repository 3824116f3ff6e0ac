// tests/site_agent/exchange_fixture.h
// SPDX-License-Identifier: Apache-2.0
//
// Two labs, "first" and "second", with real pictures, vaults and job folders, for tests of the jobs by which exemplars
// travel from one to the other.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include "codec/exchange.h"
#include "codec/reports.h"
#include "protocol/federation/lab_agreement.h"
#include "protocol/federation/partner_word.h"
#include "site_agent/trainer/job_runner.h"
#include "site_agent/trainer/received_pictures.h"
#include "tests/learning/data/picture_files.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/scratch.h"

namespace hemafed::trainer::testing_support {

using hemafed::testing_support::ConsortiumFixture;
using hemafed::testing_support::Scratch;
using learning::testing_support::Png;
using learning::testing_support::Write;

inline constexpr const char* kLabels =
    "name=\"t\"\nunknown=\"error\"\ndropped=[]\n[[class]]\nname=\"basophil\"\nlabels=[\"basophil\"]\n"
    "[[class]]\nname=\"monocyte\"\nlabels=[\"monocyte\"]\n";
// Of each class at each hospital; a quarter or so of them is for testing.
inline constexpr std::uint64_t kPictures = 14;

class ExchangeFixture : public testing::Test {
 protected:
  ExchangeFixture() : files_(RealFileSystem()) {
    Write(scratch_ / "labels.toml", kLabels);
    std::uint64_t seed = 0;
    for (const std::string site : {"first", "second"}) {
      for (const std::string label : {"basophil", "monocyte"}) {
        for (std::uint64_t i = 0; i < kPictures; ++i) {
          const std::string png = Png(++seed);
          Write(PicturesOf(site) / label / (std::to_string(seed) + ".png"), png);
          Write(scratch_ / "union" / label / (std::to_string(seed) + ".png"), png);
        }
      }
    }
    UsePlan(hemafed::testing_support::SmallPlanText(fixture_.weights, "sealed"));
  }

  void UsePlan(std::string text) {
    text.replace(text.find("input = 64"), 10, "input = 32");
    fixture_.UsePlan(std::move(text));
    plan_ = ParsePlan(fixture_.plan_text, "plan");
    for (const std::string site : {"first", "second"}) {
      JobFolder{JobsOf(site)}.CreateAll(files_);
      WriteFileAtomically(files_, JobFolder{JobsOf(site)}.PlanFile(fixture_.plan), fixture_.plan_text);
      files_.CreateFolders(FolderOf(site).root, 0700);
      Decide(site, false);
    }
  }

  Path PicturesOf(const std::string& site) const { return scratch_ / ("pictures-" + site); }
  Path JobsOf(const std::string& site) const { return scratch_ / site / "jobs"; }
  TrainerFolder FolderOf(const std::string& site) const { return {scratch_ / site / "trainer"}; }
  SiteSettings SettingsOf(const std::string& site) const {
    return {.site = site,
            .pictures = PicturesOf(site),
            .layout = PictureLayout::kFolders,
            .labels = scratch_ / "labels.toml"};
  }
  void Decide(const std::string& site, bool ended) {
    LabAgreement{.plan = fixture_.plan,
                 .partners = {site == "first" ? "second" : "first"},
                 .ended = ended,
                 .operator_key = fixture_.operator_key.PublicKey()}
        .Save(files_, FolderOf(site).Agreement());
  }
  learning::DomainPictures Domain(const std::string& name, const Path& folder) const {
    files_.CreateFolders(scratch_ / "tiles" / name);
    return {files_,
            {.name = name, .folder = folder, .layout = PictureLayout::kFolders, .labels = scratch_ / "labels.toml"},
            scratch_ / "tiles" / name,
            plan_.classes,
            plan_.model.input_px,
            plan_.augmentation};
  }
  // The first training pictures of each class at "first", m = 4 of each: two by each list.
  learning::ExemplarStore Exemplars() const {
    const learning::DomainPictures domain = Domain("first", PicturesOf("first"));
    learning::ExemplarStore store;
    for (const std::int64_t label : {0, 1}) {
      const std::vector<std::int64_t> labels{label};
      const auto positions = domain.Positions(learning::DomainPart::kTrain, labels);
      learning::ExemplarList list{.domain = "first", .label = static_cast<std::uint32_t>(label)};
      for (std::size_t i = 0; i < 4; ++i) {
        (i % 2 == 0 ? list.herding : list.uncertainty)
            .push_back({domain.index().pictures[positions.at(i)].digest, "first"});
      }
      AddList(store, list);
    }
    return store;
  }

  nlohmann::json Run(
      const Job& job, const std::function<bool()>& stop = [] { return false; }) {
    const JobFolder jobs{JobsOf(job.site)};
    files_.Remove(jobs.DoneFolder(job.Name()));
    // As the agent does: a job that failed before is not tried again beside the new one.
    for (const std::string& name : files_.List(jobs.Todo())) files_.Remove(jobs.Todo() / name);
    WriteFileAtomically(files_, jobs.JobFile(job.Name()), job.ToText());
    JobRunner runner(files_, clock_, jobs, FolderOf(job.site), SettingsOf(job.site),
                     {.stop = stop, .print = [this](const std::string& line) { said_ += line + "\n"; }});
    EXPECT_TRUE(runner.RunNext());
    files_.Remove(jobs.JobFile(job.Name()));
    return JobReport::FromText(
               ReadFile(files_, jobs.DoneFolder(job.Name()) / std::string(kReportFileName), kMaxReportBytes), "report")
        .body;
  }
  Job JobOf(JobKind kind, const std::string& site, std::uint32_t task) const {
    Job job;
    job.kind = kind;
    job.plan = fixture_.plan;
    job.site = site;
    job.task = task;
    job.model = Sha256Of("model");
    return job;
  }
  StatementEntry Agreement(const std::string& site, const HpkePublicKey& key) const {
    return fixture_.Says(site, {.kind = StatementKind::kAgreement,
                                .task = 0,
                                .round = 0,
                                .subject = fixture_.plan,
                                .body = AgreementReport{.key = key, .partners = {"first"}}.ToJson()});
  }
  Job SealJob(const HpkePublicKey& key) const {
    Job job = JobOf(JobKind::kSeal, "first", 0);
    job.partner = PartnerOf(fixture_.Joins("second"), Agreement("second", key));
    return job;
  }
  // As the sender signed it; the bundle lies in the recipient's objects.
  Job ReceiveJob(const BundleReport& report) const {
    Job job = JobOf(JobKind::kReceive, "second", 1);
    job.partner = PartnerOf(fixture_.Joins("first"), fixture_.Says("first", {.kind = StatementKind::kBundle,
                                                                             .task = 0,
                                                                             .round = 0,
                                                                             .subject = Sha256Of("model"),
                                                                             .body = report.ToJson()}));
    return job;
  }
  // Seals everything in the vault of "first"; the file is with "second" afterwards.
  BundleReport Seal(const learning::ExemplarStore& store) {
    Vault(files_, FolderOf("first").Vault()).Save(fixture_.plan, store);
    const auto key = TrainerKeyReport::FromJson({Run(JobOf(JobKind::kAgree, "second", 0)), "key"}).key;
    const Job job = SealJob(key);
    const auto report = BundleReport::FromJson({Run(job), "seal"});
    const JobFolder from{JobsOf("first")}, to{JobsOf("second")};
    std::filesystem::copy_file(from.DoneFolder(job.Name()) / std::string(kBundleFileName), to.Object(report.file),
                               std::filesystem::copy_options::overwrite_existing);
    return report;
  }
  ReceivedReport Receive(const BundleReport& report) {
    return ReceivedReport::FromJson({Run(ReceiveJob(report)), "receive"});
  }
  ReceivedPictures Received() const { return {files_, FolderOf("second").Vault(), fixture_.plan}; }

  Scratch scratch_;
  FileSystem& files_;
  SystemClock clock_;
  ConsortiumFixture fixture_;
  Plan plan_;
  std::string said_;
};

}  // namespace hemafed::trainer::testing_support
