// SPDX-License-Identifier: Apache-2.0
#include "learning/data/synthetic/optics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace hemafed::learning::synthetic {

namespace {

// What one slide and one exposure change about the hospital's usual look.
struct Exposure {
  std::array<Rgb, kDyes> density;
  Rgb light;
  double defocus_um = 0.0;
  cv::Point2d light_slope;  // relative change of brightness across the field
};

Exposure DrawExposure(const HospitalProfile& profile, RandomStream& random) {
  Exposure exposure{};
  const double slide = 1.0 + profile.stain_spread * random.NextBetween(-1.0, 1.0);
  for (std::size_t dye = 0; dye < kDyes; ++dye) {
    const double strength = slide * (1.0 + 0.5 * profile.stain_spread * random.NextBetween(-1.0, 1.0));
    for (std::size_t c = 0; c < 3; ++c) exposure.density[dye][c] = profile.density[dye][c] * strength;
  }
  const double brightness = 1.0 + 0.03 * random.NextBetween(-1.0, 1.0);
  for (std::size_t c = 0; c < 3; ++c) {
    const double balance = 1.0 + profile.white_balance_spread * random.NextBetween(-1.0, 1.0);
    exposure.light[c] = profile.background[c] * brightness * balance;
  }
  exposure.defocus_um = random.NextBetween(profile.defocus_um.low, profile.defocus_um.high);
  if (random.NextUnit() < profile.far_defocus_share) exposure.defocus_um *= 3.0;
  exposure.light_slope = {random.NextBetween(-0.03, 0.03), random.NextBetween(-0.03, 0.03)};
  return exposure;
}

cv::Mat_<cv::Vec3f> Transmit(const Canvas& canvas, const Exposure& exposure, double vignetting) {
  const int side = canvas.side_px();
  cv::Mat_<cv::Vec3f> light(side, side);
  // log(light) = log(background) - sum over dyes; one exponential over the whole array at the end.
  std::array<float, 3> base{};
  std::array<std::array<float, kDyes>, 3> density{};
  for (std::size_t c = 0; c < 3; ++c) {
    base[c] = static_cast<float>(std::log(exposure.light[c]));
    for (std::size_t dye = 0; dye < kDyes; ++dye) density[c][dye] = static_cast<float>(exposure.density[dye][c]);
  }
  for (int y = 0; y < side; ++y) {
    const double v = 2.0 * (y + 0.5) / side - 1.0;
    for (int x = 0; x < side; ++x) {
      const double u = 2.0 * (x + 0.5) / side - 1.0;
      const auto shade = static_cast<float>(exposure.light_slope.x * u + exposure.light_slope.y * v -
                                            0.5 * vignetting * (u * u + v * v));
      const DyeAmounts& dyes = canvas.dyes()(y, x);
      for (int c = 0; c < 3; ++c) {
        const auto& d = density[static_cast<std::size_t>(c)];
        light(y, x)[c] = base[static_cast<std::size_t>(c)] + shade -
                         (dyes[0] * d[0] + dyes[1] * d[1] + dyes[2] * d[2] + dyes[3] * d[3]);
      }
    }
  }
  cv::exp(light, light);
  return light;
}

void Blur(cv::Mat_<cv::Vec3f>& light, double sigma_px) {
  const int reach = std::max(1, static_cast<int>(std::ceil(2.5 * sigma_px)));
  cv::GaussianBlur(light, light, cv::Size(2 * reach + 1, 2 * reach + 1), sigma_px, sigma_px, cv::BORDER_REFLECT_101);
}

}  // namespace

cv::Mat Photograph(const Canvas& canvas, const HospitalProfile& profile, RandomStream& random) {
  const Exposure exposure = DrawExposure(profile, random);
  cv::Mat_<cv::Vec3f> light = Transmit(canvas, exposure, profile.vignetting);
  Blur(light, exposure.defocus_um * canvas.px_per_um());
  const int side = static_cast<int>(profile.side_px);
  cv::Mat_<cv::Vec3f> picture;
  cv::resize(light, picture, cv::Size(side, side), 0, 0, cv::INTER_AREA);
  if (profile.sharpening > 0.0) {
    cv::Mat_<cv::Vec3f> soft = picture.clone();
    Blur(soft, 1.0);
    cv::addWeighted(picture, 1.0 + profile.sharpening, soft, -profile.sharpening, 0.0, picture);
  }
  cv::Mat_<cv::Vec3b> pixels(side, side);
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      for (int c = 0; c < 3; ++c) {
        // The sum of four uniform words is close enough to a normal one for grain, and needs no logarithm.
        const PhiloxBlock words = {random.NextWord(), random.NextWord(), 0, 0};
        const double sum = (words[0] & 0xFFFF) + (words[0] >> 16) + (words[1] & 0xFFFF) + (words[1] >> 16);
        const double grain = (sum / 65536.0 - 2.0) * std::sqrt(3.0);
        const double value = picture(y, x)[c] + profile.noise * grain;
        pixels(y, x)[c] = static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L));
      }
    }
  }
  return pixels;
}

}  // namespace hemafed::learning::synthetic
