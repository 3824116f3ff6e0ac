// tests/site_agent/strategy_lab.h
// SPDX-License-Identifier: Apache-2.0
//
// Two labs with real picture files, models that tasks ended with and a plan over three tasks, for the trainer's jobs
// under the strategies that a plan can name.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "codec/head_growth.h"
#include "codec/reports.h"
#include "codec/update.h"
#include "common/safetensors.h"
#include "learning/models/model_file.h"
#include "site_agent/trainer/job_runner.h"
#include "tests/learning/data/picture_files.h"
#include "tests/scratch.h"

namespace hemafed::trainer::testing_support {

using hemafed::testing_support::Scratch;
using learning::Classifier;
using learning::testing_support::Png;
using learning::testing_support::Write;

inline constexpr const char* kLabels =
    "name=\"t\"\nunknown=\"error\"\ndropped=[]\n[[class]]\nname=\"basophil\"\nlabels=[\"basophil\"]\n"
    "[[class]]\nname=\"monocyte\"\nlabels=[\"monocyte\"]\n";
// Of each class at each hospital; a quarter or so of them is for testing.
inline constexpr std::uint64_t kPictures = 16;
inline constexpr std::uint64_t kSeed = 7;

// A hospital learns one class, another one both, and the first one its other class: the third task has exemplars among
// the active site's pictures and at a rehearsing site.
inline std::string PlanText(const std::string& strategy, const std::string& rehearsal, std::uint64_t min_pictures = 2) {
  return "format = 2\nname = \"test\"\nseed = " + std::to_string(kSeed) + R"(
classes = ["basophil", "monocyte"]
[model]
architecture = "small_cnn"
normalisation = "group_ws"
input = 32
dropout = 0.2
weights = ")" +
         Sha256Of("weights").Hex() + R"("
[training]
steps = 3
batch = 6
learning_rate = 0.02
schedule = "constant"
momentum = 0.9
nesterov = true
weight_decay = 0.0
clip_norm = 5.0
sampling = "uniform"
train_affine = true
threads = 1
[augmentation]
flips = true
rotation = "quarter"
brightness = 0.1
contrast = 0.1
saturation = 0.1
hue = 0.02
zoom = 0.0
shift = 0.0
blur = 0.0
[strategy]
)" + strategy +
         "[rehearsal]\n" + rehearsal + R"([aggregation]
rule = "mean"
update = "int32"
norm_bound = 100.0
max_share = 0.5
[privacy]
min_pictures = )" +
         std::to_string(min_pictures) + R"(
[[task]]
site = "first"
classes = ["basophil"]
rounds = 2
[[task]]
site = "second"
rounds = 2
[[task]]
site = "first"
classes = ["monocyte"]
rounds = 2
)";
}
inline const std::string kRehearses = "policy = \"federated\"\nexemplars = 8\nherding = \"normalised\"\n";
inline const std::string kRehearsesUncertain = kRehearses + "passes = 4\n";
inline const std::string kForgets = "policy = \"none\"\n";
inline const std::string kEwc = "name = \"ewc\"\nlambda = 0.3\nimportance = 50.0\nfisher_pictures = 5\n";
inline const std::string kDerpp = "name = \"derpp\"\nalpha = 0.7\nbeta = 0.4\n";
inline const std::string kSlowFast = "name = \"slow_fast\"\nrate = 0.25\nconsistency = 0.6\n";
inline const std::string kIcarl = "name = \"icarl\"\ngamma = 2.0\nprobe = 16\n";

class StrategyLab : public testing::Test {
 protected:
  StrategyLab() : files_(RealFileSystem()) {
    Write(scratch_ / "labels.toml", kLabels);
    std::uint64_t seed = 0;
    for (const std::string site : {"first", "second"}) {
      for (const std::string label : {"basophil", "monocyte"}) {
        for (std::uint64_t i = 0; i < kPictures; ++i) {
          ++seed;
          Write(SettingsOf(site).pictures / label / (std::to_string(seed) + ".png"), Png(seed));
        }
      }
      files_.CreateFolders(FolderOf(site).root, 0700);
    }
    after_first_ = PutModel(1, 1);  // Models that tasks ended with,
    after_second_ = PutModel(2, 2);
    base_ = PutModel(2, 3);  // and one in the middle of the third.
  }

  void UsePlan(const std::string& text) {
    plan_ = ParsePlan(text, "plan");
    digest_ = Sha256Of(text);
    for (const std::string site : {"first", "second"}) {
      JobsOf(site).CreateAll(files_);
      WriteFileAtomically(files_, JobsOf(site).PlanFile(digest_), text);
      Vault(files_, FolderOf(site).Vault())
          .Save(digest_, plan_.KeepsExemplars() ? Exemplars(site) : learning::ExemplarStore());
    }
  }

  JobFolder JobsOf(const std::string& site) const { return {scratch_ / site / "jobs"}; }
  TrainerFolder FolderOf(const std::string& site) const { return {scratch_ / site / "trainer"}; }
  SiteSettings SettingsOf(const std::string& site) const {
    return {.site = site,
            .pictures = scratch_ / ("pictures-" + site),
            .layout = PictureLayout::kFolders,
            .labels = scratch_ / "labels.toml"};
  }
  Pictures PicturesOf(const std::string& site) const {
    files_.CreateFolders(scratch_ / "tiles" / site);
    return {files_, SettingsOf(site), scratch_ / "tiles" / site, plan_, [](auto&&...) {}};
  }
  // Of the classes that the site learned in the first two tasks, the first training pictures: eight, or five.
  learning::ExemplarStore Exemplars(const std::string& site) const {
    const Pictures pictures = PicturesOf(site);
    learning::ExemplarStore store;
    for (const std::int64_t label : site == "first" ? std::vector<std::int64_t>{0} : std::vector<std::int64_t>{0, 1}) {
      const std::vector<std::int64_t> labels{label};
      const auto positions = pictures.domain().Positions(learning::DomainPart::kTrain, labels);
      learning::ExemplarList list{.domain = site, .label = static_cast<std::uint32_t>(label)};
      for (std::size_t i = 0; i < (label == 0 ? 8 : 5); ++i) {
        list.herding.push_back({pictures.domain().index().pictures[positions.at(i)].digest, site});
      }
      AddList(store, list);
    }
    return store;
  }

  // The content becomes an object of both labs.
  Digest Put(const std::string& content) const {
    const Digest digest = Sha256Of(content);
    for (const std::string site : {"first", "second"}) {
      JobsOf(site).CreateAll(files_);
      WriteFileAtomically(files_, JobsOf(site).Object(digest), content);
    }
    return digest;
  }
  Digest PutModel(std::uint32_t classes, std::uint64_t seed) const {
    const Path initial = scratch_ / "initial.safetensors", grown = scratch_ / "grown.safetensors";
    (void)learning::WriteInitialModel(files_, initial, learning::Architecture::kSmallCnn, seed);
    (void)hemafed::GrowHead(files_, initial, grown, seed, 0, classes);
    return Put(ReadFile(files_, grown, 1 << 26));
  }
  Path ModelFile(const Digest& model) const { return JobsOf("first").Object(model); }
  Classifier Model(const Digest& model) const { return learning::LoadModel(files_, ModelFile(model)); }
  UpdateLayout LayoutOf(const Digest& model) const {
    return LayoutOfModel(SafetensorsReader::Open(files_, ModelFile(model)));
  }

  nlohmann::json Run(
      const Job& job, const std::function<bool()>& stop = [] { return false; }) {
    const JobFolder jobs = JobsOf(job.site);
    files_.Remove(jobs.DoneFolder(job.Name()));
    WriteFileAtomically(files_, jobs.JobFile(job.Name()), job.ToText());
    JobRunner runner(files_, clock_, jobs, FolderOf(job.site), SettingsOf(job.site),
                     {.stop = stop, .print = [](const std::string&) {}});
    EXPECT_TRUE(runner.RunNext());
    files_.Remove(jobs.JobFile(job.Name()));
    return JobReport::FromText(
               ReadFile(files_, jobs.DoneFolder(job.Name()) / std::string(kReportFileName), kMaxReportBytes), "report")
        .body;
  }
  Job JobOf(JobKind kind, const std::string& site, std::uint32_t task, const Digest& model) const {
    Job job;
    job.kind = kind;
    job.plan = digest_;
    job.site = site;
    job.task = task;
    job.model = model;
    return job;
  }
  // Of the third task.
  Job TrainingJob(const std::string& site) const {
    Job job = JobOf(JobKind::kTrain, site, 2, base_);
    job.rehearsing = site == "second";
    return job;
  }
  // The canonical integers of a result.
  std::string Integers(const Job& job, std::string_view file, const UpdateLayout& layout) const {
    std::string raw;
    const auto sink = [&](std::span<const std::int32_t> values) {
      raw.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    };
    (void)DecodeUpdate(*files_.OpenForRead(JobsOf(job.site).DoneFolder(job.Name()) / std::string(file)), layout, sink);
    return raw;
  }
  Digest MeasureFisher(const std::string& site, std::uint32_t task, const Digest& model) {
    const Job job = JobOf(JobKind::kFisher, site, task, model);
    (void)Run(job);
    return Put(Integers(job, kFisherFileName, LayoutOf(model)));
  }

  std::unique_ptr<learning::BatchSource> SourceOf(const Pictures& pictures, const Job& job) const {
    learning::ExemplarStore store = plan_.KeepsExemplars() ? Exemplars(job.site) : learning::ExemplarStore();
    learning::Reduce(store, plan_.ExemplarsPerList(job.task), MixOf(plan_));
    return job.rehearsing ? pictures.Rehearsal(store) : pictures.Train(plan_.tasks[job.task].classes, store);
  }
  Scratch scratch_;
  FileSystem& files_;
  SystemClock clock_;
  Digest after_first_, after_second_, base_;
  Plan plan_;
  Digest digest_;
};

}  // namespace hemafed::trainer::testing_support
