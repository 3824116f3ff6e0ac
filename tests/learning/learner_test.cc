// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/learner.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "common/random.h"
#include "learning/continual/prefetch.h"
#include "learning/continual/source_digest.h"
#include "learning/models/model_file.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/learning/task_source.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::FaultFileSystem;
using testing_support::TaskSource;

Classifier Initial(Normalisation normalisation = Normalisation::kGroupWs) {
  return InitialModel(Architecture::kSmallCnn, 3).WithNormalisation(normalisation);
}

LearnerSettings Quick(const std::string& strategy) {
  LearnerSettings settings;
  settings.strategy = strategy;
  settings.epochs = 2;
  settings.batch = 4;
  settings.optimiser.learning_rate = 0.01;
  settings.optimiser.clip_norm = 5;
  settings.exemplars = {ExemplarLimit::Kind::kPerList, 2};
  settings.passes = 2;
  settings.method.analytic_features = 32;
  settings.method.ewc_importance = 10;
  settings.seed = 5;
  return settings;
}

double Accuracy(Learner& learner, BatchSource& source) {
  const Predictions predictions = learner.Predict(source);
  double right = 0;
  for (std::size_t i = 0; i < source.Size(); ++i) right += predictions.predicted[i] == source.Label(i);
  return right / static_cast<double>(source.Size());
}

class EveryStrategy : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(All, EveryStrategy, testing::ValuesIn(StrategyNames()),
                         [](const auto& row) { return std::string(row.param); });

TEST_P(EveryStrategy, LearnsClassesOneTaskAfterTheOtherInAnyOrderOfIndices) {
  TaskSource first("first", {4, 0}, 12);
  TaskSource second("second", {2}, 12);
  LearnerSettings settings = Quick(std::string(GetParam()));
  settings.epochs = 6;
  Learner learner(Initial(), settings);
  learner.LearnTask(first.Task("here"));
  TaskSource unseen("unseen first", {4, 0}, 10);
  EXPECT_GE(Accuracy(learner, unseen), 0.9);
  EXPECT_EQ(learner.classes(), (std::vector<std::int64_t>{4, 0}));
  learner.LearnTask(second.Task("here"));
  EXPECT_EQ(learner.classes(), (std::vector<std::int64_t>{4, 0, 2}));
  EXPECT_EQ(learner.model().classes(), 3);
  EXPECT_EQ(learner.tasks_learned(), 2u);

  TaskSource both("unseen both", {0, 2, 4}, 10);
  const Predictions predictions = learner.Predict(both);
  EXPECT_EQ(predictions.classes, learner.classes());
  ASSERT_EQ(predictions.predicted.size(), both.Size());
  ASSERT_EQ(predictions.scores.size(), 3 * both.Size());
  for (std::size_t i = 0; i < both.Size(); ++i) {
    const auto row = predictions.scores.begin() + static_cast<std::ptrdiff_t>(3 * i);
    EXPECT_EQ(predictions.predicted[i],
              predictions.classes[static_cast<std::size_t>(std::max_element(row, row + 3) - row)]);
  }
  const bool keeps = learner.strategy().needs().KeepsExemplars();
  EXPECT_EQ(learner.exemplars().lists.size(), keeps ? 3u : 0u);
  EXPECT_EQ(StoredCount(learner.exemplars()), keeps ? 6u : 0u);
  // What these can do with pictures as plain as these; forgetting is the point of the others, and ER-ACE's softmax over
  // the classes of the batch has nothing to learn where a task brings a single class.
  if (GetParam() == "joint" || GetParam() == "replay" || GetParam() == "analytic" || GetParam() == "derpp" ||
      GetParam() == "icarl") {
    EXPECT_GE(Accuracy(learner, both), 0.8);
  }
}

TEST_P(EveryStrategy, LearnsTheSameClassesInAnotherHospital) {
  TaskSource first("first", {0, 1, 2}, 6);
  TaskSource second("second", {0, 1, 2}, 6, 0.7);
  Learner learner(Initial(), Quick(std::string(GetParam())));
  learner.LearnTask(first.Task("here"));
  learner.LearnTask(second.Task("there"));
  EXPECT_EQ(learner.model().classes(), 3);
  if (learner.strategy().needs().KeepsExemplars()) {
    EXPECT_EQ(learner.exemplars().lists.size(), 6u);  // keyed by (domain, class)
  }
  EXPECT_GE(Accuracy(learner, second), 0.3);
}

// All that a run ends with, as a checkpoint sees it.
struct End {
  Digest model;
  StrategyState state;
  std::string exemplars;
};
End EndOf(const Learner& learner) {
  return {DigestOfModel(learner.model()), learner.strategy().State(), ExemplarStoreToJson(learner.exemplars())};
}
void ExpectSame(const End& got, const End& want, const std::string& what) {
  EXPECT_EQ(got.model.Hex(), want.model.Hex()) << what;
  EXPECT_EQ(got.exemplars, want.exemplars) << what;
  EXPECT_EQ(got.state.text, want.state.text) << what;
  ASSERT_EQ(got.state.tensors.size(), want.state.tensors.size()) << what;
  for (const auto& [name, tensor] : want.state.tensors) {
    EXPECT_TRUE(at::equal(got.state.tensors.at(name), tensor)) << what << " " << name;
  }
}

// Runs three tasks, killed at the given calls of the observer (counted over the whole run), each time resumed from
// disk.
End RunKilledAt(const LearnerSettings& settings, const std::set<int>& kills, std::uint32_t every_steps,
                FileSystem& files, const Path& folder, int* calls = nullptr,
                Normalisation normalisation = Normalisation::kGroupWs) {
  TaskSource a("a", {0, 3}, 5);
  TaskSource b("b", {1}, 9);
  TaskSource c("c", {0, 3}, 5, 0.5);
  const std::vector<TaskInput> tasks = {a.Task("here"), b.Task("here"), c.Task("there")};
  std::optional<Learner> learner;
  learner.emplace(Initial(normalisation), settings);
  learner->KeepCheckpoints(files, folder, every_steps);
  int count = 0;
  const auto observer = [&](const LearnProgress&) {
    if (kills.contains(++count)) throw Error(ErrorCode::kInterrupted, "killed");
  };
  while (learner->tasks_learned() < tasks.size()) {
    try {
      learner->LearnTask(tasks[learner->tasks_learned()], observer);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInterrupted) throw;
      if (HasCheckpoint(files, folder)) {
        learner.emplace(Learner::Resume(files, folder, Initial(normalisation), settings, tasks, every_steps));
      } else {
        learner.emplace(Initial(normalisation), settings);
        learner->KeepCheckpoints(files, folder, every_steps);
      }
    }
  }
  if (calls != nullptr) *calls = count;
  return EndOf(*learner);
}

TEST_P(EveryStrategy, KilledAndResumedItEndsWithTheSameBits) {
  const LearnerSettings settings = Quick(std::string(GetParam()));
  int calls = 0;
  FaultFileSystem never;
  const End want = RunKilledAt(settings, {}, 0, never, "/whole", &calls);
  ASSERT_GE(calls, 3);
  FaultFileSystem files;
  const End got = RunKilledAt(settings, {calls / 4, calls / 2, calls - 1}, 2, files, "/killed");
  ExpectSame(got, want, std::string(GetParam()));
}

TEST_P(EveryStrategy, MakesTheSameBitsWithBatchesFetchedAheadAlsoWhenKilledWithinAnEpoch) {
  LearnerSettings settings = Quick(std::string(GetParam()));
  settings.accumulation = 2;
  int calls = 0;
  FaultFileSystem never;
  const End want = RunKilledAt(settings, {}, 0, never, "/in_place", &calls);
  settings.loaders = 1;
  FaultFileSystem whole;
  ExpectSame(RunKilledAt(settings, {}, 0, whole, "/ahead"), want, "fetched ahead");
  FaultFileSystem killed;
  ExpectSame(RunKilledAt(settings, {calls / 5, calls / 2, calls - 1}, 1, killed, "/killed"), want, "killed");
}

// Loaders on threads of their own ask sources that several may ask at once.
class SharedSource final : public BatchSource {
 public:
  explicit SharedSource(BatchSource& source) : source_(source) {}
  [[nodiscard]] std::size_t Size() const override { return source_.Size(); }
  [[nodiscard]] std::int64_t Label(std::size_t index) const override { return source_.Label(index); }
  [[nodiscard]] Digest PictureDigest(std::size_t index) const override { return source_.PictureDigest(index); }
  [[nodiscard]] Batch Get(std::span<const std::uint32_t> indices,
                          const std::optional<AugmentationKey>& augmentation) override {
    const std::lock_guard lock(mutex_);
    if (broken && augmentation && augmentation->step >= *broken) {
      throw Error(ErrorCode::kCorrupt, "picture 17 is damaged");
    }
    threads.insert(std::this_thread::get_id());
    return source_.Get(indices, augmentation);
  }

  std::optional<std::uint32_t> broken;  // Batches of training from this one on cannot be read.
  std::set<std::thread::id> threads;    // Who asked.

 private:
  BatchSource& source_;
  std::mutex mutex_;
};

TEST(Loaders, OfAnyNumberChangeNoBitAndAreNotPartOfTheSettingsThatACheckpointCompares) {
  LearnerSettings settings = Quick("derpp");  // Draws two batches of exemplars beside each batch.
  std::optional<End> want;
  for (const unsigned loaders : {0u, 1u, 3u}) {
    settings.loaders = loaders;
    EXPECT_EQ(ToJson(settings), ToJson(Quick("derpp")));
    TaskSource first("first", {0, 1}, 9), second("second", {2, 3}, 9);
    SharedSource a(first), b(second);
    Learner learner(Initial(), settings);
    learner.LearnTask({"first", "here", {0, 1}, &a});
    learner.LearnTask({"second", "there", {2, 3}, &b});
    if (!want) want = EndOf(learner);
    ExpectSame(EndOf(learner), *want, std::to_string(loaders) + " loaders");
    EXPECT_EQ(b.threads.contains(std::this_thread::get_id()), true);  // Exemplars are chosen without loaders.
    EXPECT_EQ(b.threads.size() > 1, loaders > 0);
  }
  settings.loaders = kMaxLoaderThreads + 1;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "loaders", CheckSettings(settings));
}

TEST(Loaders, AnErrorOfTheSourceComesAtItsStepWithItsMessage) {
  for (const unsigned loaders : {0u, 1u, 3u}) {
    LearnerSettings settings = Quick("uacl");
    settings.loaders = loaders;
    TaskSource pictures("pictures", {0, 1}, 10);
    SharedSource source(pictures);
    source.broken = 5;
    Learner learner(Initial(), settings);
    std::uint64_t steps = 0;
    EXPECT_ERROR(ErrorCode::kCorrupt, "picture 17 is damaged",
                 learner.LearnTask({"t", "here", {0, 1}, &source},
                                   [&](const LearnProgress& progress) { steps = progress.done; }));
    EXPECT_EQ(steps, 5u) << loaders;  // Steps 0 to 4 were taken.
  }
}

TEST(Resume, AtEveryStepOfUaclWithEveryOptimiserEndsWithTheSameBits) {
  for (const OptimiserKind kind : {OptimiserKind::kSgd, OptimiserKind::kAdamW}) {
    LearnerSettings settings = Quick("uacl");
    settings.optimiser.kind = kind;
    settings.optimiser.learning_rate = kind == OptimiserKind::kSgd ? 0.01 : 0.001;
    settings.optimiser.weight_decay = 0.01;
    settings.schedule.kind = ScheduleKind::kCosine;
    settings.accumulation = 2;
    settings.memory_share = 0.25;
    int calls = 0;
    FaultFileSystem never;
    const End want = RunKilledAt(settings, {}, 0, never, "/whole", &calls);
    for (int kill = 1; kill <= calls; ++kill) {  // First and last steps of epochs and tasks are among them.
      FaultFileSystem files;
      const End got = RunKilledAt(settings, {kill}, 1 + static_cast<std::uint32_t>(kill % 3), files, "/killed");
      ExpectSame(got, want, "killed at call " + std::to_string(kill) + " of " + std::to_string(calls));
    }
  }
}

TEST(Resume, WithBatchStatisticsGoesOnFromTheRunningOnes) {
  const LearnerSettings settings = Quick("icarl");
  int calls = 0;
  FaultFileSystem never;
  const End want = RunKilledAt(settings, {}, 0, never, "/whole", &calls, Normalisation::kBatch);
  for (const int kill : {2, calls / 2, calls}) {
    FaultFileSystem files;
    ExpectSame(RunKilledAt(settings, {kill}, 1, files, "/killed", nullptr, Normalisation::kBatch), want,
               "killed at " + std::to_string(kill));
  }
}

TEST(Resume, OfAnotherRunIsRefusedAndSaysWhatDiffers) {
  FaultFileSystem files;
  TaskSource a("a", {0, 3}, 5);
  TaskSource other("other", {0, 3}, 5);
  const std::vector<TaskInput> tasks = {a.Task("here")};
  const LearnerSettings settings = Quick("uacl");
  Learner learner(Initial(), settings);
  learner.KeepCheckpoints(files, "/run", 0);
  learner.LearnTask(tasks[0]);
  const auto resume = [&](Classifier initial, const LearnerSettings& with, std::vector<TaskInput> given) {
    (void)Learner::Resume(files, "/run", std::move(initial), with, given, 0);
  };
  EXPECT_NO_THROW(resume(Initial(), settings, tasks));
  LearnerSettings changed = settings;
  changed.optimiser.momentum = 0.5;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "optimiser.momentum = 0.9, now it is 0.5", resume(Initial(), changed, tasks));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "other weights",
               resume(InitialModel(Architecture::kSmallCnn, 4), settings, tasks));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "which was not given", resume(Initial(), settings, {}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another name, domain, classes or pictures",
               resume(Initial(), settings, {{"a", "here", {0, 3}, &other}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another name, domain, classes or pictures",
               resume(Initial(), settings, {a.Task("elsewhere")}));
}

TEST(Learner, ALossThatIsNotFiniteStopsAtItsStepAndTheLastCheckpointStillResumes) {
  FaultFileSystem files;
  TaskSource good("good", {0, 1}, 6);
  TaskSource bad("bad", {2}, 6);
  bad.pictures()[3].fill_(std::numeric_limits<float>::quiet_NaN());
  const std::vector<TaskInput> tasks = {good.Task("here"), bad.Task("here")};
  const LearnerSettings settings = Quick("uacl");
  std::optional<Learner> learner;
  learner.emplace(Initial(), settings);
  learner->KeepCheckpoints(files, "/run", 1);
  learner->LearnTask(tasks[0]);
  std::uint64_t good_steps = 0;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not a finite number in step",
               learner->LearnTask(tasks[1], [&](const LearnProgress& progress) { good_steps = progress.done; }));
  EXPECT_ERROR(ErrorCode::kConflict, "resume it", learner->LearnTask(tasks[1]));
  Learner resumed = Learner::Resume(files, "/run", Initial(), settings, tasks, 1);
  for (const NamedTensor& tensor : resumed.model().tensors()) EXPECT_TRUE(tensor.value.isfinite().all().item<bool>());
  const std::string step = "step " + std::to_string(good_steps) + " of task 1 (bad)";
  EXPECT_ERROR(ErrorCode::kInvalidInput, step, resumed.LearnTask(tasks[1]));
}

TEST(Learner, ATaskThatCannotWorkIsRefusedBeforeAnythingChanges) {
  TaskSource source("source", {0, 1}, 4);
  Learner learner(Initial(), Quick("uacl"));
  const auto learn = [&](const std::vector<std::int64_t>& classes, const std::string& domain = "here") {
    learner.LearnTask({"t", domain, classes, &source});
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "class 2 has no training picture", learn({0, 1, 2}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "class 1, which it does not declare", learn({0}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "twice", learn({0, 1, 0}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no class", learn({}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "outside", learn({-1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the name of a domain", learn({0, 1}, ""));
  EXPECT_EQ(learner.model().classes(), 0);
  EXPECT_ERROR(ErrorCode::kConflict, "not learned any class", (void)learner.Predict(source));
  EXPECT_NO_THROW(learn({0, 1}));
}

TEST(Learner, SettingsThatCannotWorkAreRefusedByName) {
  const auto with = [](const auto& change) {
    LearnerSettings settings = Quick("uacl");
    change(settings);
    CheckSettings(settings);
  };
  with([](auto&) {});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "there are finetuning, ewc, lwf", with([](auto& s) { s.strategy = "x"; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "epochs", with([](auto& s) { s.epochs = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "batch", with([](auto& s) { s.batch = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "accumulation", with([](auto& s) { s.accumulation = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "learning_rate", with([](auto& s) { s.optimiser.learning_rate = NAN; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "memory_share", with([](auto& s) { s.memory_share = 1; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "momentum", with([](auto& s) { s.optimiser.momentum = 1; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "beta2", with([](auto& s) {
                 s.optimiser.kind = OptimiserKind::kAdam;
                 s.optimiser.beta2 = 1;
               }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "gamma", with([](auto& s) { s.method.gamma = -1; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "at least 1 pass", with([](auto& s) { s.passes = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "keeps exemplars", with([](auto& s) {
                 s.strategy = "ewc";
                 s.prediction = Prediction::kNearestMean;
               }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "factor", with([](auto& s) {
                 s.schedule.kind = ScheduleKind::kStep;
                 s.schedule.factor = 0;
               }));
}

TEST(Learner, ExemplarsFollowTheBudgetAndEarlierListsAreOnlyCut) {
  LearnerSettings settings = Quick("uacl");
  settings.epochs = 1;
  settings.exemplars = {ExemplarLimit::Kind::kBudget, 20};
  Learner learner(Initial(), settings);
  TaskSource a("a", {0, 1}, 12);
  TaskSource b("b", {0, 1, 2}, 12, 0.5);
  learner.LearnTask(a.Task("here"));
  const ExemplarStore before = learner.exemplars();
  EXPECT_EQ(StoredCount(before), 20u);  // 2 lists of 10
  learner.LearnTask(b.Task("there"));
  EXPECT_EQ(StoredCount(learner.exemplars()), 20u);  // 5 lists of 4
  for (std::size_t l = 0; l < 2; ++l) {
    const ExemplarList& now = learner.exemplars().lists[l];
    EXPECT_EQ(now.domain, "here");
    ASSERT_EQ(now.herding.size(), 2u);
    ASSERT_EQ(now.uncertainty.size(), 2u);
    EXPECT_TRUE(std::equal(now.herding.begin(), now.herding.end(), before.lists[l].herding.begin()));
    EXPECT_TRUE(std::equal(now.uncertainty.begin(), now.uncertainty.end(), before.lists[l].uncertainty.begin()));
  }
}

TEST(Learner, AClassThatItsDomainDeclaresAgainKeepsItsList) {
  Learner learner(Initial(), Quick("icarl"));
  TaskSource a("a", {0, 1}, 6);
  TaskSource again("again", {1, 2}, 6);
  learner.LearnTask(a.Task("here"));
  const ExemplarStore before = learner.exemplars();
  learner.LearnTask(again.Task("here"));
  ASSERT_EQ(learner.exemplars().lists.size(), 3u);
  EXPECT_EQ(learner.exemplars().lists[1], before.lists[1]);
}

TEST_P(EveryStrategy, AWithdrawnPictureIsDrawnNoMoreAndStoredNowhere) {
  FaultFileSystem files;
  TaskSource a("a", {0, 1}, 6);
  TaskSource b("b", {2}, 6);
  Learner learner(Initial(), Quick(std::string(GetParam())));
  learner.KeepCheckpoints(files, "/run", 0);
  learner.LearnTask(a.Task("here"));
  Digest picture = a.PictureDigest(0);
  const bool keeps = learner.strategy().needs().KeepsExemplars();
  if (keeps) picture = learner.exemplars().lists[0].herding[0].picture;
  const std::string hex = picture.Hex();
  EXPECT_EQ(learner.Withdraw(picture), keeps ? 1u : 0u);
  EXPECT_EQ(ExemplarStoreToJson(learner.exemplars()).find(hex), std::string::npos);
  EXPECT_EQ(learner.strategy().State().text.find(hex), std::string::npos);
  a.drawn.clear();
  learner.LearnTask(b.Task("here"));
  EXPECT_EQ(std::count(a.drawn.begin(), a.drawn.end(), picture), 0);
  if (keeps || GetParam() == "joint") {
    EXPECT_FALSE(a.drawn.empty());
  }
  const std::string index = *files.Peek("/run/checkpoint.json");
  EXPECT_NE(index.find(hex), std::string::npos);  // Only in the list of what was withdrawn, ...
  EXPECT_EQ(index.find(hex), index.rfind(hex));   // ... so that it stays away after a resume.
}

// How far the trunk is from the first weights.
double Moved(const Classifier& model) {
  const Classifier initial = Initial();
  double squares = 0;
  for (const NamedTensor& tensor : model.tensors()) {
    for (const NamedTensor& first : initial.tensors()) {
      if (first.name == tensor.name) squares += (tensor.value - first.value).square().sum().item<double>();
    }
  }
  return std::sqrt(squares);
}

TEST(Learner, JointStartsEveryTaskFromTheFirstWeightsOverAllPictures) {
  TaskSource a("a", {0, 1}, 6);
  TaskSource b("b", {0, 1}, 6, 0.5);
  for (const std::string strategy : {"joint", "finetuning"}) {
    LearnerSettings settings = Quick(strategy);
    Learner learner(Initial(), settings);
    learner.LearnTask(a.Task("here"));
    ASSERT_GT(Moved(learner.model()), 0.095);
    learner.LearnTask(b.Task("there"), [&](const LearnProgress& progress) {
      // 12 or 24 pictures in batches of 4, twice.
      EXPECT_EQ(progress.all, strategy == "joint" ? 12u : 6u);
      // One step of Nesterov momentum moves by at most lr (1 + momentum) clip_norm = 0.095.
      if (progress.done == 1) {
        EXPECT_EQ(Moved(learner.model()) <= 0.0951, strategy == "joint");
      }
    });
  }
}

TEST(Learner, GradientsAccumulatedOverPartsAreThoseOfOneLargeBatch) {
  TaskSource a("a", {0, 1}, 8);
  LearnerSettings one = Quick("finetuning");
  one.epochs = 1;
  one.batch = 8;
  one.dropout = 0;
  one.augment = false;
  one.optimiser.momentum = 0;
  one.optimiser.nesterov = false;
  LearnerSettings parts = one;
  parts.batch = 2;
  parts.accumulation = 4;
  Learner large(Initial(), one);
  Learner small(Initial(), parts);
  large.LearnTask(a.Task("here"));
  small.LearnTask(a.Task("here"));
  for (std::size_t i = 0; i < large.model().tensors().size(); ++i) {
    EXPECT_LT(testing_support::LargestDifference(large.model().tensors()[i].value, small.model().tensors()[i].value),
              2e-5);
  }
}

}  // namespace
}  // namespace hemafed::learning
