// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/step_loss.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "codec/fisher.h"
#include "common/error.h"
#include "common/safetensors.h"
#include "learning/continual/answer_losses.h"
#include "learning/continual/stored_logits.h"

namespace hemafed::trainer {

namespace {

const JobAnchor& AnchorOf(const JobContext& context, std::uint32_t task) {
  for (const JobAnchor& anchor : context.job.anchors) {
    if (anchor.task == task) return anchor;
  }
  throw Error(ErrorCode::kInvalidInput, context.job.Name() + ": names no model of task " + std::to_string(task) +
                                            ", which strategy " +
                                            std::string(StrategyName(context.plan.strategy.kind)) + " needs");
}

std::vector<bool> ExemplarPositions(const JobContext& context, const learning::BatchSource& source) {
  std::vector<bool> exemplars(source.Size());
  const ClassSet& taught = context.task().classes;
  for (std::size_t position = 0; position < exemplars.size(); ++position) {
    const auto label = static_cast<std::uint32_t>(source.Label(position));
    exemplars[position] = context.job.rehearsing || !std::binary_search(taught.begin(), taught.end(), label);
  }
  return exemplars;
}

std::uint32_t TaskThatTaught(const JobContext& context, std::int64_t label) {
  for (std::uint32_t task = 0; task < context.job.task; ++task) {
    const TaskPlan& earlier = context.plan.tasks[task];
    if (earlier.site != context.job.site) continue;
    if (std::binary_search(earlier.classes.begin(), earlier.classes.end(), static_cast<std::uint32_t>(label))) {
      return task;
    }
  }
  throw Error(ErrorCode::kInvalidInput, context.job.Name() + ": a picture of class " + std::to_string(label) +
                                            " rehearses, which no earlier task taught this site");
}

// One tensor for each of the model's, undefined for running statistics. `model_file` is where the model was read from.
std::vector<at::Tensor> ReadFisher(FileSystem& files, const Path& path, const Path& model_file,
                                   const learning::Classifier& model) {
  const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(files, model_file));
  const auto raw = files.OpenForRead(path);
  if (const auto why = WhyNoFisher(*raw, layout)) {
    throw Error(ErrorCode::kInvalidInput, path.string() + ": " + *why);
  }
  std::map<std::string, at::Tensor> by_name;
  std::uint64_t offset = 0;
  for (const TensorSpec& tensor : layout.tensors) {
    std::vector<std::int32_t> roots(tensor.ValueCount());
    const std::size_t bytes = roots.size() * sizeof(std::int32_t);
    if (raw->ReadAt(offset, {reinterpret_cast<std::uint8_t*>(roots.data()), bytes}) != bytes) {
      throw Error(ErrorCode::kInvalidInput, path.string() + ": ends within tensor " + tensor.name);
    }
    offset += bytes;
    at::Tensor fisher = at::empty(tensor.shape, at::kFloat);
    FisherOf(roots, {fisher.mutable_data_ptr<float>(), roots.size()});
    by_name.emplace(tensor.name, std::move(fisher));
  }
  std::vector<at::Tensor> fisher;
  for (const learning::NamedTensor& tensor : model.tensors()) {
    const auto found = by_name.find(tensor.name);
    fisher.push_back(found == by_name.end() ? at::Tensor() : found->second);
  }
  return fisher;
}

learning::HeldWeights HeldBy(const JobContext& context) {
  learning::HeldWeights held;
  for (std::uint32_t task = 0; task < context.job.task; ++task) {
    context.RequireGoingOn();
    const JobAnchor& anchor = AnchorOf(context, task);
    if (!anchor.fisher) {
      throw Error(ErrorCode::kInvalidInput,
                  context.job.Name() + ": names no Fisher information of task " + std::to_string(task));
    }
    const Path file = context.object(anchor.model);
    const learning::Classifier model = context.LoadModel(anchor.model);
    held.Hold(model, ReadFisher(context.files, context.object(*anchor.fisher), file, model));
    context.progress("reading what earlier tasks hold on to", task + 1, context.job.task, 0);
  }
  return held;
}

// By position of the source; empty for new pictures.
std::vector<std::vector<float>> StoredAnswers(const JobContext& context, learning::BatchSource& source) {
  const std::vector<bool> exemplars = ExemplarPositions(context, source);
  std::map<std::uint32_t, std::vector<std::uint32_t>> by_task;
  for (std::uint32_t position = 0; position < exemplars.size(); ++position) {
    if (exemplars[position]) by_task[TaskThatTaught(context, source.Label(position))].push_back(position);
  }
  std::vector<std::vector<float>> stored(exemplars.size());
  for (const auto& [task, positions] : by_task) {
    const learning::Classifier model = context.LoadModel(AnchorOf(context, task).model);
    const std::string phase = "asking the model of task " + std::to_string(task);
    std::vector<std::vector<float>> answers =
        LogitsOf(model, source, positions, kInferenceBatch, [&](std::uint64_t done, std::uint64_t all) {
          context.RequireGoingOn();
          context.progress(phase, done, all, done);
        });
    for (std::size_t i = 0; i < positions.size(); ++i) stored[positions[i]] = std::move(answers[i]);
  }
  return stored;
}

std::unique_ptr<learning::LocalLoss> SlowLoss(const JobContext& context, const learning::BatchSource& source) {
  std::vector<bool> exemplars = ExemplarPositions(context, source);
  if (context.job.slow) {
    return std::make_unique<learning::SlowModelLoss>(context.LoadModel(*context.job.slow), std::move(exemplars),
                                                     context.plan.strategy.consistency);
  }
  if (std::find(exemplars.begin(), exemplars.end(), true) != exemplars.end()) {
    throw Error(ErrorCode::kInvalidInput, context.job.Name() + ": names no slow model for this site's exemplars");
  }
  return std::make_unique<learning::DistilledLoss>(nullptr, 0);
}

}  // namespace

std::unique_ptr<learning::LocalLoss> LossOf(const JobContext& context, learning::BatchSource& source,
                                            const learning::Classifier* teacher) {
  const StrategyPlan& strategy = context.plan.strategy;
  switch (strategy.kind) {
    case StrategyKind::kFinetuning:
    case StrategyKind::kReplay:
    case StrategyKind::kUacl:
    case StrategyKind::kIcarl: return std::make_unique<learning::DistilledLoss>(teacher, context.task().gamma);
    case StrategyKind::kWa: return std::make_unique<learning::SoftenedLoss>(teacher, strategy.temperature);
    case StrategyKind::kEwc:
      return std::make_unique<learning::HeldLoss>(HeldBy(context), strategy.penalty_share, strategy.importance);
    case StrategyKind::kDerpp:
      return std::make_unique<learning::StoredAnswersLoss>(StoredAnswers(context, source), strategy.alpha,
                                                           strategy.beta);
    case StrategyKind::kSlowFast: return SlowLoss(context, source);
    case StrategyKind::kAnalytic:
    case StrategyKind::kAlignment: break;  // Trained elsewhere, or not at all.
  }
  throw Error(ErrorCode::kInvalidInput,
              context.job.Name() + ": strategy " + std::string(StrategyName(strategy.kind)) + " trains nothing");
}

}  // namespace hemafed::trainer
