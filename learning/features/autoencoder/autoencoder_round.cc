// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/autoencoder_round.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "common/error.h"
#include "learning/models/torch_setup.h"

namespace hemafed::learning {

namespace {

void Check(const FeatureCache& cells, const AutoencoderSettings& settings,
           const std::optional<PublishedMoments>& published, AutoencoderSteps steps) {
  const auto require = [](bool holds, const std::string& problem) {
    if (!holds) throw Error(ErrorCode::kInvalidInput, "a round of an autoencoder: " + problem);
  };
  CheckSettings(settings);
  require(steps.count > 0, "there are no steps to take");
  require(settings.method == DomainMethod::kNone || settings.method == DomainMethod::kAlignment,
          "one hospital's cells can be aligned with others', or not at all");
  require((settings.method == DomainMethod::kAlignment) == published.has_value(),
          "the moments of the other hospitals belong to the method alignment");
  if (published) {
    require(cells.domains() == std::vector<std::uint32_t>{published->own},
            "the cells are not of domain " + std::to_string(published->own) + " alone");
  }
}

}  // namespace

AutoencoderRoundReport TrainAutoencoderRound(const FeatureCache& cells, CellAutoencoder& model,
                                             const AutoencoderSettings& settings,
                                             const std::optional<PublishedMoments>& published, AutoencoderSteps steps,
                                             const std::function<void(std::uint32_t)>& on_step) {
  Check(cells, settings, published, steps);
  ConfigureTorch(settings.threads);
  CellDraws draws(settings.seed, cells.size(), settings.batch);
  const std::unique_ptr<Optimiser> adam =
      MakeOptimiser(model.BeginTraining(), {.kind = OptimiserKind::kAdam, .learning_rate = settings.learning_rate});
  DomainLoss domain_loss;
  if (published) {
    domain_loss = [&](const at::Tensor& latents) {
      return AlignWithPublished(latents, published->own, settings.source, published->domains);
    };
  }
  const at::AutoGradMode gradients(true);
  AutoencoderRoundReport report;
  for (std::uint32_t step = 0; step < steps.count; ++step) {
    const CellBatch batch = ReadCells(cells, draws.Cells(steps.first + step), model.device());
    const BatchLosses losses = AddGradients(model, batch.features, batch.pictures, settings.picture_loss,
                                            settings.decode_cells, settings.beta, domain_loss);
    const double weighted = published ? settings.beta * losses.domains : 0.0;
    if (!std::isfinite(adam->Step(settings.learning_rate))) {
      throw Error(ErrorCode::kConflict, "the gradient of step " + std::to_string(step) +
                                            " of the round is not finite; a lower learning_rate or beta may help");
    }
    report.loss += losses.features + losses.pictures + weighted;
    report.domains += losses.domains;
    report.terms += losses.terms;
    report.skipped += losses.skipped;
    if (on_step) on_step(step + 1);
  }
  model.EndTraining();
  report.loss /= steps.count;
  report.domains /= steps.count;
  return report;
}

}  // namespace hemafed::learning
