// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/autoencoder_training.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "common/error.h"
#include "common/json_fields.h"
#include "common/random.h"
#include "learning/continual/checkpoint.h"
#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/models/torch_setup.h"

namespace hemafed::learning {

using nlohmann::json;

namespace {

constexpr const char* kWhere = "checkpoint of an autoencoder";
// Sums of an epoch: features, pictures, domains, discriminator, terms, skipped.
constexpr std::size_t kSums = 6;

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

std::unique_ptr<Optimiser> MakeAdam(std::vector<at::Tensor> trained, double learning_rate) {
  return MakeOptimiser(std::move(trained), {.kind = OptimiserKind::kAdam, .learning_rate = learning_rate});
}

void PutPrefixed(TensorMap& tensors, const std::string& prefix, const TensorMap& part) {
  for (const auto& [name, tensor] : part) tensors[prefix + name] = tensor;
}

AutoencoderSettings Checked(const AutoencoderSettings& settings) {
  CheckSettings(settings);
  return settings;
}

// Cells of each domain. A domain with a single cell has no covariance, whatever the batches.
std::map<std::uint32_t, std::uint32_t> CellsByDomain(const FeatureCache& cells) {
  std::map<std::uint32_t, std::uint32_t> counts;
  for (std::uint32_t cell = 0; cell < cells.size(); ++cell) ++counts[cells.Label(cell).domain];
  return counts;
}

// An alignment that never has a term would be a training without alignment under another name.
void RequireSomethingToAlign(const FeatureCache& cells, const AutoencoderSettings& settings) {
  if (settings.method != DomainMethod::kAlignment) return;
  const std::map<std::uint32_t, std::uint32_t> counts = CellsByDomain(cells);
  const auto source = counts.find(settings.source);
  if (source == counts.end()) {
    Fail("the source domain " + std::to_string(settings.source) +
         " has no cells in the cache; choose a source that has, or the method none");
  }
  const bool other = std::any_of(counts.begin(), counts.end(), [&](const auto& domain) {
    return domain.first != settings.source && domain.second >= 2;
  });
  if (source->second < 2 || !other) {
    Fail("there is nothing to align: the cache must have two cells of the source domain " +
         std::to_string(settings.source) +
         " and two of another domain at least; give it cells of other domains, train with published moments of others, "
         "or choose the method none");
  }
}

// Federated: this site's cells, and what the others published.
void RequireSomethingToAlign(const FeatureCache& cells, const AutoencoderSettings& settings,
                             const PublishedMoments& published) {
  if (settings.method != DomainMethod::kAlignment) {
    Fail("published moments are for the method alignment alone; leave them out or choose it");
  }
  if (cells.domains() != std::vector<std::uint32_t>{published.own}) {
    Fail("training with published moments takes cells of domain " + std::to_string(published.own) +
         " alone; the cache has others");
  }
  const bool is_source = published.own == settings.source;
  const bool other =
      std::any_of(published.domains.begin(), published.domains.end(), [&](const PublishedDomain& domain) {
        return domain.domain != published.own && (is_source || domain.domain == settings.source) &&
               domain.moments.cells() >= 2;
      });
  if (cells.size() < 2 || !other) {
    Fail("there is nothing to align domain " + std::to_string(published.own) + " with: it needs two cells, and of " +
         (is_source ? "another domain" : "the source domain " + std::to_string(settings.source)) +
         " published moments of two cells at least; wait until they are published, or choose the method none");
  }
}

TensorMap TakePrefixed(const TensorMap& tensors, const std::string& prefix) {
  TensorMap part;
  for (auto place = tensors.lower_bound(prefix); place != tensors.end() && place->first.starts_with(prefix); ++place) {
    part[place->first.substr(prefix.size())] = place->second;
  }
  return part;
}

}  // namespace

AutoencoderTraining::AutoencoderTraining(const FeatureCache& cells, CellAutoencoder model,
                                         const AutoencoderSettings& settings, std::optional<PublishedMoments> published)
    : cells_(&cells),
      model_(std::move(model)),
      settings_(Checked(settings)),
      published_(std::move(published)),
      initial_(DigestOfAutoencoder(model_)),
      draws_(settings_.seed, cells.size(), settings_.batch) {
  if (published_) {
    RequireSomethingToAlign(cells, settings_, *published_);
  } else {
    RequireSomethingToAlign(cells, settings_);
  }
  ConfigureTorch(settings_.threads);
  optimiser_ = MakeAdam(model_.BeginTraining(), settings_.learning_rate);
  if (settings_.method == DomainMethod::kAdversarial) {
    adversary_.emplace(model_.latent_size(), static_cast<std::int64_t>(cells.domains().size()), settings_.adversary,
                       DeriveSeed(settings_.seed, "adversary"), model_.device());
    adversary_optimiser_ = MakeAdam(adversary_->trained(), settings_.adversary.learning_rate);
  }
  total_steps_ = std::uint64_t{settings_.epochs} * draws_.StepsPerEpoch();
}

void AutoencoderTraining::KeepCheckpoints(FileSystem& files, Path folder, std::uint32_t every_steps) {
  if (every_steps == 0) Fail("checkpoints must be at least a step apart");
  files_ = &files;
  folder_ = std::move(folder);
  every_steps_ = every_steps;
}

// The discriminator's classes are the places in the ascending list of domains.
std::vector<std::uint32_t> AutoencoderTraining::AdversaryLabels(const std::vector<std::uint32_t>& domains) const {
  std::vector<std::uint32_t> labels;
  for (const std::uint32_t domain : domains) {
    const auto place = std::lower_bound(cells_->domains().begin(), cells_->domains().end(), domain);
    labels.push_back(static_cast<std::uint32_t>(place - cells_->domains().begin()));
  }
  return labels;
}

DomainTerm AutoencoderTraining::TermOf(const at::Tensor& latents, const std::vector<std::uint32_t>& domains) {
  switch (settings_.method) {
    case DomainMethod::kNone: break;
    case DomainMethod::kAlignment:
      if (published_) return AlignWithPublished(latents, published_->own, settings_.source, published_->domains);
      return AlignDomains(latents, domains, settings_.source, cells_->domains());
    case DomainMethod::kNormal: return AlignWithNormal(latents, domains, cells_->domains());
    case DomainMethod::kAdversarial: return {adversary_->EncoderTerm(latents, AdversaryLabels(domains)), 1, 0};
  }
  throw Error(ErrorCode::kInternal, "a domain term was asked for where there is none");
}

BatchLosses AutoencoderTraining::Step() {
  if (Finished()) throw Error(ErrorCode::kConflict, "the autoencoder has had all its steps");
  const at::AutoGradMode gradients(true);
  const std::vector<std::uint32_t> cells = draws_.Cells(step_);
  const CellBatch batch = ReadCells(*cells_, cells, model_.device());
  DomainLoss domain_loss;
  double discriminator = 0.0;
  if (settings_.method != DomainMethod::kNone) {
    domain_loss = [&](const at::Tensor& latents) {
      if (adversary_) {  // Learns first, so that the encoder is told by what it knows now.
        const at::Tensor loss = adversary_->OwnLoss(latents, AdversaryLabels(batch.domains));
        discriminator = loss.item<double>();
        (loss * settings_.beta).backward();
        adversary_optimiser_->Step(settings_.adversary.learning_rate);
      }
      return TermOf(latents, batch.domains);
    };
  }
  const BatchLosses losses = AddGradients(model_, batch.features, batch.pictures, settings_.picture_loss,
                                          settings_.decode_cells, settings_.beta, domain_loss);
  if (!std::isfinite(optimiser_->Step(settings_.learning_rate))) {
    throw Error(ErrorCode::kConflict, "the gradient of step " + std::to_string(step_) +
                                          " is not finite; the model is as before that step. Start over with a lower "
                                          "learning_rate or beta");
  }
  Note(losses, cells.size(), discriminator);
  ++step_;
  if (files_ != nullptr && (step_ % every_steps_ == 0 || Finished())) SaveCheckpoint();
  return losses;
}

void AutoencoderTraining::Note(const BatchLosses& losses, std::size_t cells, double discriminator) {
  if (step_ % draws_.StepsPerEpoch() == 0) sums_.resize(sums_.size() + kSums);
  double* sums = sums_.data() + sums_.size() - kSums;
  const auto weight = static_cast<double>(cells);
  sums[0] += weight * losses.features;
  sums[1] += weight * losses.pictures;
  sums[2] += losses.domains;
  sums[3] += discriminator;
  sums[4] += losses.terms;
  sums[5] += losses.skipped;
}

std::vector<AutoencoderEpoch> AutoencoderTraining::Epochs() const {
  std::vector<AutoencoderEpoch> epochs;
  const double cells = cells_->size();
  const double steps = draws_.StepsPerEpoch();
  for (std::uint64_t epoch = 0; epoch < step_ / draws_.StepsPerEpoch(); ++epoch) {
    const double* sums = sums_.data() + epoch * kSums;
    epochs.push_back({sums[0] / cells, sums[1] / cells, sums[2] / steps, sums[3] / steps,
                      static_cast<std::uint64_t>(sums[4]), static_cast<std::uint64_t>(sums[5])});
  }
  return epochs;
}

void AutoencoderTraining::Run(const AutoencoderCallback& progress) {
  while (!Finished()) {
    const BatchLosses last = Step();
    const auto epoch = static_cast<std::uint32_t>((step_ - 1) / draws_.StepsPerEpoch());
    if (progress && !progress({step_, total_steps_, epoch, last}) && !Finished()) {
      if (files_ != nullptr && step_ % every_steps_ != 0) SaveCheckpoint();
      throw Error(ErrorCode::kInterrupted, "the autoencoder's training was stopped after step " +
                                               std::to_string(step_) + " of " + std::to_string(total_steps_) +
                                               (files_ != nullptr ? "; start again to go on from there" : ""));
    }
  }
}

// What a checkpoint must have been made with.
json AutoencoderTraining::Identity() const {
  json published = json::array();
  if (published_) {
    for (const PublishedDomain& domain : published_->domains) {
      published.push_back({{"domain", domain.domain}, {"moments", domain.moments.Hash().Hex()}});
    }
  }
  json identity = ToJson(settings_);
  identity["cells"] = cells_->digest().Hex();
  identity["initial"] = initial_.Hex();
  identity["latent_size"] = model_.latent_size();
  identity["published"] = std::move(published);
  return identity;
}

void AutoencoderTraining::SaveCheckpoint() const {
  Checkpoint checkpoint;
  for (const NamedTensor& tensor : model_.tensors()) checkpoint.tensors["model." + tensor.name] = tensor.value;
  PutPrefixed(checkpoint.tensors, "optimiser.", optimiser_->State());
  if (adversary_) {
    PutPrefixed(checkpoint.tensors, "adversary.", adversary_->State());
    PutPrefixed(checkpoint.tensors, "adversary_optimiser.", adversary_optimiser_->State());
  }
  checkpoint.tensors["sums"] = at::tensor(sums_, at::kDouble);
  checkpoint.fields = {{"identity", Identity()}, {"step", step_}};
  WriteCheckpoint(*files_, folder_, checkpoint);
}

void AutoencoderTraining::Resume() {
  if (files_ == nullptr) throw Error(ErrorCode::kInternal, "there is no folder to resume from");
  const Checkpoint checkpoint = ReadCheckpoint(*files_, folder_);
  JsonFields fields(checkpoint.fields, kWhere);
  const json& stored = fields.Raw("identity");
  const json identity = Identity();
  for (const auto& [key, value] : identity.items()) {
    if (!stored.is_object() || !stored.contains(key)) Fail("the checkpoint was made without '" + key + "'");
    if (stored.at(key) != value) {
      Fail("the checkpoint in " + folder_.string() + " was made with " + key + " = " + stored.at(key).dump() +
           ", now it is " + value.dump() + "; resume with what the run began with, or start over in another folder");
    }
  }
  if (stored.size() != identity.size()) Fail("the checkpoint has settings that this program does not know");
  const std::uint64_t step = fields.Unsigned("step", total_steps_);
  if (step == 0) fields.Fail("step", "is 0");
  fields.RequireAllRead();

  const std::uint64_t epochs_begun = (step - 1) / draws_.StepsPerEpoch() + 1;
  const auto sum_count = static_cast<std::int64_t>(epochs_begun * kSums);
  const at::Tensor sums = RequireState(checkpoint.tensors, "sums", at::empty({sum_count}, at::kDouble));
  std::vector<at::Tensor> values;
  for (const NamedTensor& tensor : model_.tensors()) {
    values.push_back(RequireState(checkpoint.tensors, "model." + tensor.name, tensor.value));
  }
  optimiser_->SetState(TakePrefixed(checkpoint.tensors, "optimiser."));
  if (adversary_) {
    adversary_->SetState(TakePrefixed(checkpoint.tensors, "adversary."));
    adversary_optimiser_->SetState(TakePrefixed(checkpoint.tensors, "adversary_optimiser."));
  }
  const at::NoGradGuard no_gradients;
  for (std::size_t i = 0; i < values.size(); ++i) at::Tensor(model_.tensors()[i].value).copy_(values[i]);
  const double* stored_sums = sums.const_data_ptr<double>();
  sums_.assign(stored_sums, stored_sums + sum_count);
  step_ = step;
}

}  // namespace hemafed::learning
