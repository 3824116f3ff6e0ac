// SPDX-License-Identifier: Apache-2.0
//
// That everything keeps to the device of its model. Most machines have no GPU, so LibTorch's meta device stands in for
// one: it has shapes and types but no values, and mixing its tensors with the processor's is as much an error as with a
// GPU's. It has no convolutions either; what needs those, or values, runs on a GPU where there is one.
#include "learning/models/device.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include "learning/continual/learner.h"
#include "learning/continual/source_digest.h"
#include "learning/models/grow_head.h"
#include "learning/models/model_file.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/learning/task_source.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::FaultFileSystem;
using hemafed::testing_support::Scratch;
using testing_support::TaskSource;

LearnerSettings Quick(std::string_view strategy) {
  LearnerSettings settings;
  settings.strategy = strategy;
  settings.epochs = 2;
  settings.batch = 4;
  settings.optimiser.learning_rate = 0.01;
  settings.exemplars = {ExemplarLimit::Kind::kPerList, 2};
  settings.passes = 2;
  settings.method.analytic_features = 32;
  settings.method.wa_clip = true;
  settings.method.cls_plastic_rate = settings.method.cls_stable_rate = 1;
  settings.seed = 5;
  return settings;
}

TEST(Device, OtherNamesAreRefused) {
  EXPECT_EQ(RequireDevice("cpu"), c10::Device(c10::kCPU));
  for (const char* name : {"", "gpu", "cpu:0", "CUDA", "cuda:", "cuda:-1", "cuda:1x", "cuda:100", "cuda 1", "cudax"}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "there are cpu, cuda and cuda:N", (void)RequireDevice(name));
  }
}

TEST(Device, AGpuThatIsNotThereIsUnavailableAndTheMessageSaysWhatToDo) {
  EXPECT_ERROR(ErrorCode::kUnavailable, "the device cuda:99 is not there", (void)RequireDevice("cuda:99"));
  if (torch::cuda::is_available()) GTEST_SKIP() << "this machine has a GPU: the first one is there";
  EXPECT_ERROR(ErrorCode::kUnavailable, "use --device cpu", (void)RequireDevice("cuda"));
}

TEST(Device, ARecordNamesTheModelWhereAllGpusAreOfOne) {
  const Scratch scratch;
  const auto plant = [&](const char* bus, const char* text) {
    RealFileSystem().CreateFolders(scratch / bus);
    WriteFileAtomically(RealFileSystem(), scratch / bus / "information", text);
  };
  const c10::Device gpu(c10::kCUDA, 1);
  EXPECT_EQ(DeviceText(gpu, scratch / "none"), "cuda:1");
  plant("0000:01:00.0", "Model: \t\t NVIDIA H100\nIRQ:   7\n");
  plant("0000:02:00.0", "Model: \t\t NVIDIA H100\n");
  EXPECT_EQ(DeviceText(gpu, scratch / ""), "cuda:1 (NVIDIA H100)");
  EXPECT_EQ(DeviceText(c10::Device(c10::kCPU), scratch / ""), "cpu");
  plant("0000:03:00.0", "Model: \t\t NVIDIA T4\n");
  EXPECT_EQ(DeviceText(gpu, scratch / ""), "cuda:1");  // Which of them is number 1 is not told.
}

class StrategyOnADevice : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(All, StrategyOnADevice, testing::ValuesIn(StrategyNames()),
                         [](const auto& row) { return std::string(row.param); });

// Second task after a resume: the state comes from a file, on the processor, as after any restart.
TEST_P(StrategyOnADevice, LossAndStepsStayOnTheDeviceOfTheModelAfterAResumeToo) {
  if (GetParam() == "cls_er") GTEST_SKIP() << "its slow models look at the pictures themselves, by convolutions";
  const LearnerSettings settings = Quick(GetParam());
  TaskSource first("first", {0, 1}, 6);
  TaskSource second("second", {2}, 6);
  const Classifier initial = InitialModel(Architecture::kSmallCnn, 3);
  Learner learner(initial.Clone(), settings);
  learner.LearnTask(first.Task("here"));
  Memory memory = BuildMemory(learner.exemplars(), {{"here", &first}}, learner.classes());

  const c10::Device meta(c10::kMeta);
  const auto strategy = MakeStrategy(settings.strategy, settings.method);
  strategy->SetState(learner.strategy().State(), initial.To(meta));
  if (!strategy->needs().trains) GTEST_SKIP() << "takes no steps; its sums stay on the processor";
  Classifier model = GrowHead(learner.model().To(meta), 3, 1, 1);
  PictureView pictures({&second}, {{0, 0, 2}, {0, 1, 2}, {0, 2, 2}});
  TaskContext context;
  context.task = 1;
  context.old_classes = 2;
  context.rows = {2};
  context.model = &model;
  context.pictures = &pictures;
  context.memory = &memory;
  context.batch = 4;
  strategy->BeforeTask(context);
  const TrainingScope scope(model, /*freeze_affine=*/false);
  const auto on_device = [&](PictureView& view, const std::vector<std::uint32_t>& items) {
    const Batch batch = view.Get(items, std::nullopt);
    return Batch{batch.images.to(meta), batch.labels.to(meta)};
  };
  const StepInput input{.context = context,
                        .draw = 3,
                        .batch = on_device(pictures, {0, 1, 2}),
                        .is_memory = at::zeros({3}, at::TensorOptions().dtype(at::kBool).device(meta)),
                        .forward =
                            [&](const at::Tensor& images, std::uint32_t) {  // The head alone.
                              return model.Head(at::ones({images.size(0), model.feature_width()}, images.options()));
                            },
                        .draw_memory = [&](std::uint32_t) -> std::optional<MemoryBatch> {
                          if (memory.keys.empty()) return std::nullopt;
                          return MemoryBatch{on_device(memory.view, {0, 1}), {0, 1}};
                        }};
  const LossTerms loss = strategy->Loss(input);
  for (const at::Tensor& term : {loss.total, loss.cross_entropy, loss.extra}) EXPECT_EQ(term.device(), meta);
  loss.total.backward();
  for (const at::Tensor& theta : scope.trained()) {
    EXPECT_TRUE(!theta.grad().defined() || theta.grad().device() == meta);
  }
  const at::NoGradGuard no_gradients;
  strategy->AfterStep(context, 0);
}

// The device of a study that asks for none: the same bits as without the choice.
TEST(Device, AModelThatWasSentToTheProcessorLearnsTheSameBits) {
  Digest digests[2];
  for (const bool sent : {false, true}) {
    TaskSource first("first", {0, 1}, 6);
    TaskSource second("second", {2}, 6);
    Classifier initial = InitialModel(Architecture::kSmallCnn, 3);
    if (sent) initial = initial.To(RequireDevice("cpu"));
    Learner learner(std::move(initial), Quick("ewc"));
    learner.LearnTask(first.Task("here"));
    learner.LearnTask(second.Task("here"));
    digests[sent] = DigestOfModel(learner.model());
  }
  EXPECT_EQ(digests[0].Hex(), digests[1].Hex());
}

TEST_P(StrategyOnADevice, LearnsPredictsAndResumesOnAGpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "this machine has no GPU that LibTorch can use";
  const c10::Device gpu = RequireDevice("cuda");
  const LearnerSettings settings = Quick(GetParam());
  TaskSource first("first", {0, 1}, 8);
  TaskSource second("second", {2}, 8);
  const std::vector<TaskInput> tasks = {first.Task("here"), second.Task("there")};
  const Classifier initial = InitialModel(Architecture::kSmallCnn, 3).To(gpu);
  FaultFileSystem files;
  Learner learner(initial.To(gpu), settings);
  learner.KeepCheckpoints(files, "/run", 1);
  learner.LearnTask(tasks[0]);
  int steps = 0;
  try {
    learner.LearnTask(tasks[1], [&](const LearnProgress&) {
      if (++steps == 2) throw Error(ErrorCode::kInterrupted, "killed");
    });
  } catch (const Error& error) {
    ASSERT_EQ(error.code(), ErrorCode::kInterrupted) << error.what();
  }
  Learner resumed = Learner::Resume(files, "/run", initial.To(gpu), settings, tasks, 1);
  while (resumed.tasks_learned() < tasks.size()) resumed.LearnTask(tasks[resumed.tasks_learned()]);
  EXPECT_EQ(resumed.model().device().type(), c10::kCUDA);
  EXPECT_EQ(resumed.Predict(first).predicted.size(), first.Size());
  EXPECT_LE(resumed.Withdraw(first.PictureDigest(0)), 1u);
  (void)SaveModel(files, "/model.safetensors", resumed.model());
  EXPECT_EQ(LoadModel(files, "/model.safetensors").classes(), 3);
}

}  // namespace
}  // namespace hemafed::learning
