// SPDX-License-Identifier: Apache-2.0
//
// What a training job costs under each strategy that a plan can name, on real picture files.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "learning/continual/answer_losses.h"
#include "learning/continual/local_training.h"
#include "learning/continual/stored_logits.h"
#include "site_agent/trainer/quantize.h"
#include "tests/expect_error.h"
#include "tests/site_agent/strategy_lab.h"

namespace hemafed::trainer {
namespace {

using namespace testing_support;

class StrategyJobs : public StrategyLab {
 protected:
  // Runs the job twice, and its training by hand with this loss: the same integers and the same cost.
  void ExpectTrains(const Job& job, const learning::LocalLoss& loss, const std::string& named) {
    const auto report = UpdateReport::FromJson({Run(job), named});
    EXPECT_EQ(UpdateReport::FromJson({Run(job), named}).values, report.values) << named;
    const Pictures pictures = PicturesOf(job.site);
    const auto source = SourceOf(pictures, job);
    Classifier model = Model(job.model);
    const TrainingPlan& training = plan_.training;
    const learning::TrainingReport trained =
        TrainLocally(model, loss, *source,
                     {.steps = training.steps,
                      .batch = training.batch,
                      .rounds = 2,
                      .learning_rate = training.learning_rate,
                      .schedule = training.schedule,
                      .sgd = {.momentum = 0.9, .nesterov = true, .weight_decay = 0, .clip_norm = 5},
                      .dropout = plan_.model.dropout,
                      .freeze_affine = false,
                      .augment = true,
                      .sampling = training.sampling,
                      .threads = 1},
                     {.plan_seed = kSeed, .task = job.task, .round = job.round, .site = job.site}, {});
    const QuantizedUpdate update = WriteUpdate(files_, model.tensors(), ModelFile(job.model), std::nullopt,
                                               scratch_ / "residual", scratch_ / "update", {});
    EXPECT_EQ(report.values, update.file.values) << named;
    EXPECT_EQ(report.loss_millionths, static_cast<std::uint64_t>(std::llround(trained.mean_loss * 1e6))) << named;
    EXPECT_EQ(report.distillation_millionths, static_cast<std::uint64_t>(std::llround(trained.mean_extra * 1e6)));
    EXPECT_EQ(report.pictures, source->Size());
  }
};

TEST_F(StrategyJobs, AModelWithAnotherNormalisationThanThePlansIsNotTrained) {
  std::string text = PlanText("name = \"finetuning\"\n", kForgets);
  const std::string said = "\"group_ws\"";
  UsePlan(text.replace(text.find(said), said.size(), "\"group\""));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "has the normalisation group_ws, the plan says group",
               (void)Run(TrainingJob("first")));
}

TEST_F(StrategyJobs, StrategiesWithATeacherOrLabelsAlone) {
  const Classifier teacher = Model(after_second_);
  const learning::DistilledLoss labels(nullptr, 0), distilled(&teacher, 2);
  const learning::SoftenedLoss softened(&teacher, 3);
  const struct {
    const char* name;
    std::string strategy, rehearsal;
    const learning::LocalLoss& loss;
  } kCases[] = {
      {"uacl", "name = \"uacl\"\ngamma = 2.0\nprobe = 16\n", kRehearsesUncertain, distilled},
      {"icarl", kIcarl, kRehearses, distilled},
      {"wa", "name = \"wa\"\ntemperature = 3.0\nprobe = 16\n", kRehearses, softened},
      {"replay", "name = \"replay\"\n", kRehearses, labels},
  };
  for (const auto& [name, strategy, rehearsal, loss] : kCases) {
    UsePlan(PlanText(strategy, rehearsal));
    for (const std::string site : {"first", "second"}) {
      Job job = TrainingJob(site);
      if (plan_.Distils()) job.teacher = after_second_;
      ExpectTrains(job, loss, name + (" at " + site));
    }
  }
  UsePlan(PlanText("name = \"finetuning\"\n", kForgets));
  ExpectTrains(TrainingJob("first"), labels, "finetuning");
}

TEST_F(StrategyJobs, DerppAsksTheModelThatEachExemplarsTaskEndedWith) {
  UsePlan(PlanText(kDerpp, kRehearses));
  for (const std::string site : {"first", "second"}) {
    Job job = TrainingJob(site);
    job.anchors = {{.task = 0, .model = after_first_, .fisher = {}}, {.task = 1, .model = after_second_, .fisher = {}}};
    // The first hospital learned its exemplars' class in task 0, the second one both in task 1.
    const Classifier asked = Model(site == "first" ? after_first_ : after_second_);
    const Pictures pictures = PicturesOf(site);
    const auto source = SourceOf(pictures, job);
    std::vector<std::vector<float>> stored(source->Size());
    std::size_t exemplars = 0;
    for (std::uint32_t position = 0; position < source->Size(); ++position) {
      if (site == "first" && source->Label(position) == 1) continue;
      stored[position] = LogitsOf(asked, *source, std::span(&position, 1), 1, {}).front();
      ++exemplars;
    }
    ASSERT_EQ(exemplars, site == "first" ? 8u : 13u);
    std::vector<std::uint32_t> asked_about;
    for (std::uint32_t position = 0; position < stored.size(); ++position) {
      if (!stored[position].empty()) asked_about.push_back(position);
    }
    // As the job asks, 32 at a time: the same up to rounding, and then the job's bits are these.
    const auto together = LogitsOf(asked, *source, asked_about, 32, {});
    for (std::size_t i = 0; i < together.size(); ++i) {
      ASSERT_EQ(together[i].size(), stored[asked_about[i]].size());
      for (std::size_t j = 0; j < together[i].size(); ++j) {
        EXPECT_NEAR(together[i][j], stored[asked_about[i]][j], 1e-5);
      }
      stored[asked_about[i]] = together[i];
    }
    ExpectTrains(job, learning::StoredAnswersLoss(stored, 0.7, 0.4), "derpp at " + site);

    job.anchors.erase(job.anchors.begin() + (site == "first" ? 0 : 1));
    EXPECT_ERROR(ErrorCode::kInvalidInput, "names no model of task " + std::string(site == "first" ? "0" : "1"),
                 (void)Run(job));
  }
}

TEST_F(StrategyJobs, SlowFastHoldsExemplarsToTheSlowModel) {
  UsePlan(PlanText(kSlowFast, kRehearses));
  for (const std::string site : {"first", "second"}) {
    Job job = TrainingJob(site);
    EXPECT_ERROR(ErrorCode::kInvalidInput, "names no slow model", (void)Run(job));
    job.slow = after_second_;
    const Pictures pictures = PicturesOf(site);
    const auto source = SourceOf(pictures, job);
    std::vector<bool> exemplars;
    for (std::size_t i = 0; i < source->Size(); ++i) exemplars.push_back(site == "second" || source->Label(i) == 0);
    ExpectTrains(job, learning::SlowModelLoss(Model(after_second_), exemplars, 0.6), "slow_fast at " + site);
  }
}

TEST_F(StrategyJobs, EwcHoldsOnToEveryEarlierTaskOfEveryHospital) {
  UsePlan(PlanText(kEwc, kForgets));
  Job job = TrainingJob("first");
  learning::HeldWeights held;
  std::uint32_t task = 0;
  for (const Digest& model : {after_first_, after_second_}) {
    const Digest fisher = MeasureFisher(task == 0 ? "first" : "second", task, model);
    job.anchors.push_back({.task = task++, .model = model, .fisher = fisher});
    // By hand: the integers in the layout's order, one value after the other.
    const std::string raw = ReadFile(files_, ModelFile(fisher), 1 << 26);
    std::vector<std::int32_t> roots(raw.size() / 4);
    std::memcpy(roots.data(), raw.data(), raw.size());
    std::map<std::string, at::Tensor> by_name;
    std::size_t at_value = 0;
    for (const TensorSpec& tensor : LayoutOf(model).tensors) {
      at::Tensor values = at::empty(tensor.shape, at::kFloat);
      for (std::uint64_t i = 0; i < tensor.ValueCount(); ++i) {
        const double root = roots.at(at_value++) * 0x1p-22;
        values.mutable_data_ptr<float>()[i] = static_cast<float>(root * root);
      }
      by_name[tensor.name] = values;
    }
    EXPECT_EQ(at_value, roots.size());
    const Classifier old = Model(model);
    std::vector<at::Tensor> in_order;
    for (const learning::NamedTensor& tensor : old.tensors()) in_order.push_back(by_name.at(tensor.name));
    held.Hold(old, in_order);
  }
  EXPECT_GT(held.Penalty(Model(base_)).item<double>(), 0);
  ExpectTrains(job, learning::HeldLoss(held, 0.3, 50), "ewc");

  const auto refused = [&](const std::string& why, const auto& change, ErrorCode code = ErrorCode::kInvalidInput) {
    Job bad = job;
    change(bad);
    EXPECT_ERROR(code, why, (void)Run(bad));
  };
  const std::string good = ReadFile(files_, ModelFile(*job.anchors[0].fisher), 1 << 26);
  std::string negative = good;
  negative[7] = '\xff';
  refused("names no model of task 1", [](Job& bad) { bad.anchors.pop_back(); });
  refused("names no Fisher information of task 0", [](Job& bad) { bad.anchors[0].fisher.reset(); });
  refused("not the", [&](Job& bad) { bad.anchors[0].fisher = bad.anchors[1].fisher; });
  refused("bytes", [&](Job& bad) { bad.anchors[0].fisher = Put(good.substr(1)); });
  refused("head.weight at index 0 is -", [&](Job& bad) { bad.anchors[0].fisher = Put(negative); });
  WriteFileAtomically(files_, JobsOf("first").Object(*job.anchors[0].fisher), negative);
  refused(
      "digest of its name", [](Job&) {}, ErrorCode::kCorrupt);
}

TEST_F(StrategyJobs, InTheFirstTaskEveryStrategyLearnsFromLabelsAlone) {
  for (const auto& [strategy, rehearsal] :
       {std::pair(kIcarl, kRehearses),
        {kEwc, kForgets},
        {kDerpp, kRehearses},
        {kSlowFast, kRehearses},
        {std::string("name = \"wa\"\ntemperature = 3.0\nprobe = 16\n"), kRehearses}}) {
    UsePlan(PlanText(strategy, rehearsal));
    Vault(files_, FolderOf("first").Vault()).Save(digest_, {});
    const Job job = JobOf(JobKind::kTrain, "first", 0, after_first_);
    const auto report = UpdateReport::FromJson({Run(job), strategy});
    EXPECT_EQ(report.distillation_millionths, 0u);
    EXPECT_FALSE(report.probe.has_value());
    EXPECT_EQ(report.steps, 3u);
  }
}

}  // namespace
}  // namespace hemafed::trainer
