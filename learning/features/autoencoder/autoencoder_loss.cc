// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/autoencoder_loss.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

at::Tensor LossOf(const PictureLoss& loss, const at::Tensor& decoded, const at::Tensor& wanted) {
  if (loss.kind == PictureLossKind::kSquaredError) return at::mse_loss(decoded, wanted);
  return 1.0 - Ssim(decoded, wanted, loss.ssim);
}

}  // namespace

std::string_view PictureLossName(PictureLossKind kind) { return kind == PictureLossKind::kSsim ? "ssim" : "mse"; }

BatchLosses AddGradients(const CellAutoencoder& model, const at::Tensor& features, const at::Tensor& pictures,
                         const PictureLoss& picture_loss, std::uint32_t decode_cells, double beta,
                         const DomainLoss& domain_loss) {
  const std::int64_t cells = features.size(0);
  if (cells < 1 || pictures.size(0) != cells || decode_cells < 1) {
    throw Error(ErrorCode::kInvalidInput, "the autoencoder cannot learn from " + std::to_string(cells) +
                                              " cells with " + std::to_string(pictures.size(0)) + " pictures");
  }
  BatchLosses losses;
  const at::Tensor latents = model.Encode(features);
  at::Tensor leaf = latents.detach().requires_grad_(true);
  for (std::int64_t first = 0; first < cells; first += decode_cells) {
    const std::int64_t count = std::min<std::int64_t>(decode_cells, cells - first);
    const double share = static_cast<double>(count) / static_cast<double>(cells);
    const at::Tensor decoded = model.DecodeFeatures(leaf.narrow(0, first, count));
    const at::Tensor feature_loss = at::mse_loss(decoded, features.narrow(0, first, count));
    const at::Tensor of_pictures =
        LossOf(picture_loss, model.DecodePictures(decoded), pictures.narrow(0, first, count));
    ((feature_loss + of_pictures) * share).backward();
    losses.features += share * feature_loss.item<double>();
    losses.pictures += share * of_pictures.item<double>();
  }
  if (domain_loss) {
    const DomainTerm term = domain_loss(leaf);
    losses.domains = term.loss.item<double>();
    losses.terms = term.terms;
    losses.skipped = term.skipped;
    if (term.loss.requires_grad()) (term.loss * beta).backward();
  }
  latents.backward(leaf.grad());
  return losses;
}

}  // namespace hemafed::learning
