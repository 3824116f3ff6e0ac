// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/derpp.h"

#include <ATen/ATen.h>

#include <set>
#include <utility>

#include "codec/head_growth.h"
#include "common/error.h"
#include "common/json_fields.h"
#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

using nlohmann::json;

LossTerms DerPp::Loss(const StepInput& input) {
  const at::Tensor cross_entropy = CrossEntropy(input.forward(input.batch.images, 0), input.batch.labels);
  const std::optional<MemoryBatch> answers = input.draw_memory(1);
  const std::optional<MemoryBatch> labels = input.draw_memory(2);
  if (!answers || !labels) return Only(cross_entropy);
  std::vector<std::vector<float>> stored;
  for (const std::uint32_t item : answers->items) {
    const auto found = logits_.find(input.context.memory->keys.at(item));
    stored.push_back(found == logits_.end() ? std::vector<float>{} : found->second);
  }
  const at::Tensor distance =
      LogitDistance(input.forward(answers->batch.images, 1), stored, settings_.der_sum_over_classes);
  const at::Tensor rehearsed = CrossEntropy(input.forward(labels->batch.images, 2), labels->batch.labels);
  return {cross_entropy + settings_.der_alpha * distance + settings_.der_beta * rehearsed, cross_entropy.detach(),
          distance.detach()};
}

void DerPp::AfterTask(const TaskContext& context) {
  const Memory& memory = *context.memory;
  const std::set<ExemplarKey> kept(memory.keys.begin(), memory.keys.end());
  std::erase_if(logits_, [&](const auto& item) { return !kept.contains(item.first); });
  std::vector<std::uint32_t> missing;
  for (std::uint32_t i = 0; i < memory.keys.size(); ++i) {
    if (!logits_.contains(memory.keys[i])) missing.push_back(i);
  }
  const std::vector<std::vector<float>> answers =
      LogitsOf(*context.model, context.memory->view, missing, context.batch, context.on_pictures);
  for (std::size_t i = 0; i < missing.size(); ++i) logits_[memory.keys[missing[i]]] = answers[i];
}

void DerPp::Withdraw(const Classifier&, const Digest& digest, PictureView*) {
  std::erase_if(logits_, [&](const auto& item) { return item.first.picture == digest; });
}

StrategyState DerPp::State() const {
  StrategyState state;
  if (logits_.empty()) return state;
  std::vector<float> values;
  json items = json::array();
  for (const auto& [key, logits] : logits_) {
    values.insert(values.end(), logits.begin(), logits.end());
    items.push_back(
        {{"classes", logits.size()}, {"domain", key.domain}, {"label", key.label}, {"picture", key.picture.Hex()}});
  }
  state.text = json{{"logits_of", std::move(items)}}.dump();
  state.tensors["logits"] = at::tensor(values, at::kFloat);
  return state;
}

void DerPp::SetState(const StrategyState& state, const Classifier&) {
  logits_.clear();
  if (state.text.empty()) return;
  const auto found = state.tensors.find("logits");
  if (found == state.tensors.end() || found->second.dim() != 1 || found->second.scalar_type() != at::kFloat) {
    throw Error(ErrorCode::kInvalidInput, "the checkpoint lacks the stored logits of strategy derpp");
  }
  const at::Tensor values = found->second.contiguous();
  std::span<const float> rest(values.const_data_ptr<float>(), static_cast<std::size_t>(values.numel()));
  const json parsed = ParseJsonObject(state.text, "state of strategy derpp");
  JsonFields fields(parsed, "state of strategy derpp");
  for (JsonFields& item : fields.Objects("logits_of", kMaxExemplars)) {
    const auto classes = static_cast<std::size_t>(item.Unsigned("classes", kMaxHeadClasses));
    const ExemplarKey key{item.Text("domain", kMaxExemplarNameBytes), item.Integer("label", 0, UINT32_MAX),
                          item.Sha256Digest("picture")};
    item.RequireAllRead();
    if (classes > rest.size()) item.Fail("classes", "is more than there are stored logits");
    logits_[key] = {rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(classes)};
    rest = rest.subspan(classes);
  }
  fields.RequireAllRead();
  if (!rest.empty()) fields.Fail("logits_of", "leaves stored logits over");
}

}  // namespace hemafed::learning
