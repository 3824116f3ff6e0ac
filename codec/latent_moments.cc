// SPDX-License-Identifier: Apache-2.0
#include "codec/latent_moments.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>

#include "codec/exact.h"
#include "common/error.h"

namespace hemafed {

namespace {

constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 24;  // Number of cells included.
constexpr std::size_t kCellsAt = 16;

[[noreturn]] void Fail(const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "latent moments: " + problem);
}

std::size_t TriangleSize(std::uint32_t width) { return std::size_t{width} * (width + std::size_t{1}) / 2; }

void CheckWidthItself(std::uint32_t width) {
  if (width < kMinLatentWidth || width > kMaxLatentWidth) {
    Fail("a latent of " + std::to_string(width) + " values is not one of " + std::to_string(kMinLatentWidth) + " to " +
         std::to_string(kMaxLatentWidth));
  }
}

std::array<std::uint8_t, kHeaderBytes> Header(std::uint32_t width, std::int64_t cells) {
  std::array<std::uint8_t, kHeaderBytes> header{'H', 'F', 'L', '\n'};
  StoreLittleEndian(kVersion, &header[4]);
  header[6] = kLatentGridBits;
  StoreLittleEndian(width, &header[8]);
  StoreLittleEndian(cells, &header[kCellsAt]);
  return header;
}

std::string At(std::uint32_t i, std::uint32_t j) { return "[" + std::to_string(i) + ", " + std::to_string(j) + "]"; }

}  // namespace

LatentMoments::LatentMoments(std::uint32_t width) : width_(width) {
  CheckWidthItself(width);
  sums_.resize(width);
  products_.resize(TriangleSize(width));
}

std::size_t LatentMoments::Place(std::uint32_t i, std::uint32_t j) const {
  const std::size_t row = std::min(i, j);
  const std::size_t column = std::max(i, j);
  if (column >= width_) throw Error(ErrorCode::kInternal, "latent moments: " + At(i, j) + " does not exist");
  return row * width_ - row * (row + 1) / 2 + column;
}

void LatentMoments::CheckWidth(const LatentMoments& other) const {
  if (width_ == other.width_) return;
  Fail("those of " + std::to_string(other.width_) + " latent values do not fit those of " + std::to_string(width_));
}

void LatentMoments::AddCell(std::span<const float> latent) {
  if (latent.size() != width_) {
    Fail("a cell with " + std::to_string(latent.size()) + " latent values where " + std::to_string(width_) +
         " are due");
  }
  if (cells_ >= kMaxMomentCells)
    Fail("more than " + std::to_string(kMaxMomentCells) + " cells cannot be summed exactly");
  std::array<std::int32_t, kMaxLatentWidth> steps;  // Filled as far as it is read.
  for (std::size_t i = 0; i < latent.size(); ++i) {
    const double value = latent[i];
    if (!(value >= -1.0 && value <= 1.0)) {  // Written so that it holds for NaN.
      Fail("latent value " + std::to_string(i) + " of a cell is not between -1 and 1; the encoder ends in a tanh");
    }
    steps[i] = static_cast<std::int32_t>(RoundHalfEven(value * kMaxLatentSteps));
  }
  ++cells_;
  std::int64_t* product = products_.data();
  for (std::size_t i = 0; i < width_; ++i) {
    const std::int64_t left = steps[i];
    sums_[i] += left;
    for (std::size_t j = i; j < width_; ++j) *product++ += left * steps[j];
  }
}

void LatentMoments::Add(const LatentMoments& other) {
  CheckWidth(other);
  if (cells_ + other.cells_ > kMaxMomentCells) {
    Fail("more than " + std::to_string(kMaxMomentCells) + " cells cannot be summed exactly");
  }
  const auto add = [](std::vector<std::int64_t>& to, const std::vector<std::int64_t>& from) {
    std::transform(to.begin(), to.end(), from.begin(), to.begin(), std::plus<>());
  };
  cells_ += other.cells_;
  add(sums_, other.sums_);
  add(products_, other.products_);
}

void LatentMoments::Subtract(const LatentMoments& other) {
  CheckWidth(other);
  LatentMoments rest = *this;
  const auto subtract = [](std::vector<std::int64_t>& from, const std::vector<std::int64_t>& what) {
    std::transform(from.begin(), from.end(), what.begin(), from.begin(), std::minus<>());
  };
  rest.cells_ -= other.cells_;
  subtract(rest.sums_, other.sums_);
  subtract(rest.products_, other.products_);
  if (const auto problem = rest.Implausible()) Fail("what is to be taken out was never added: " + *problem);
  *this = std::move(rest);
}

double LatentMoments::Mean(std::uint32_t i) const {
  if (cells_ < 1) Fail("no cells have no mean");
  return static_cast<double>(sums_.at(i)) / static_cast<double>(cells_) * std::ldexp(1.0, -kLatentGridBits);
}

double LatentMoments::Covariance(std::uint32_t i, std::uint32_t j) const {
  if (cells_ < 2) Fail("fewer than two cells have no covariance");
  // Below 2^93: exact. The divisor is below 2^60.
  const Int128 numerator =
      static_cast<Int128>(cells_) * products_.at(Place(i, j)) - static_cast<Int128>(sums_.at(i)) * sums_.at(j);
  return static_cast<double>(numerator) / static_cast<double>(cells_ * (cells_ - 1)) *
         std::ldexp(1.0, -2 * kLatentGridBits);
}

std::optional<std::string> LatentMoments::Implausible() const {
  if (cells_ < 0 || cells_ > kMaxMomentCells) return "there are " + std::to_string(cells_) + " cells";
  const std::int64_t most = cells_ * kMaxLatentSteps;  // At most 2^46.
  for (std::uint32_t i = 0; i < width_; ++i) {
    const std::int64_t sum = sums_[i];
    const std::int64_t square = products_[Place(i, i)];
    if (sum < -most || sum > most) {
      return "S[" + std::to_string(i) + "] is " + std::to_string(sum) + " for " + std::to_string(cells_) + " cells";
    }
    // f^2 >= |f| and f^2 - f is even for integers f; (sum f)^2 <= n sum f^2.
    if (square < std::abs(sum) || square > most * kMaxLatentSteps || (square - sum) % 2 != 0 ||
        static_cast<Int128>(sum) * sum > static_cast<Int128>(cells_) * square) {
      return "Q" + At(i, i) + " is " + std::to_string(square) + " for " + std::to_string(cells_) +
             " cells that sum to " + std::to_string(sum);
    }
  }
  for (std::uint32_t i = 0; i < width_; ++i) {
    for (std::uint32_t j = i + 1; j < width_; ++j) {
      const Int128 product = products_[Place(i, j)];
      if (product * product > static_cast<Int128>(products_[Place(i, i)]) * products_[Place(j, j)]) {
        return "Q" + At(i, j) + " is larger than Q" + At(i, i) + " and Q" + At(j, j) + " allow";
      }
    }
  }
  return std::nullopt;
}

bool LatentMoments::MaySend(std::int64_t min_cells) const { return cells_ >= std::max<std::int64_t>(min_cells, 2); }

Bytes LatentMoments::Canonical() const {
  Bytes bytes(LatentMomentsBytes(width_));
  const auto header = Header(width_, cells_);
  std::uint8_t* out = std::copy(header.begin(), header.end(), bytes.data());
  for (const std::vector<std::int64_t>* values : {&sums_, &products_}) {
    for (const std::int64_t value : *values) {
      StoreLittleEndian(value, out);
      out += sizeof(value);
    }
  }
  return bytes;
}

Digest LatentMoments::Hash() const { return Sha256Of(Canonical()); }

LatentMoments LatentMoments::FromCanonical(ByteView bytes, std::uint32_t width) {
  CheckWidthItself(width);
  const auto damaged = [](const std::string& what) { Fail("the file " + what); };
  if (bytes.size() < kHeaderBytes) damaged("ends within its header");
  const auto cells = LoadLittleEndian<std::int64_t>(&bytes[kCellsAt]);
  const auto want = Header(width, cells);
  if (!std::equal(want.begin(), want.begin() + 4, bytes.begin())) damaged("does not begin as one");
  if (const auto version = LoadLittleEndian<std::uint16_t>(&bytes[4]); version != kVersion) {
    damaged("has version " + std::to_string(version) + "; this program reads " + std::to_string(kVersion));
  }
  if (bytes[6] != kLatentGridBits) {
    damaged("has latents rounded to 2^-" + std::to_string(bytes[6]) + " instead of 2^-" +
            std::to_string(kLatentGridBits));
  }
  if (const auto got = LoadLittleEndian<std::uint32_t>(&bytes[8]); got != width) {
    damaged("holds latents of " + std::to_string(got) + " values, here they have " + std::to_string(width));
  }
  if (!std::equal(want.begin(), want.end(), bytes.begin())) damaged("has a header with bits that mean nothing");
  if (bytes.size() != LatentMomentsBytes(width)) {
    damaged("has " + std::to_string(bytes.size()) + " bytes where latents of " + std::to_string(width) +
            " values take " + std::to_string(LatentMomentsBytes(width)));
  }
  LatentMoments moments(width);
  moments.cells_ = cells;
  const std::uint8_t* in = &bytes[kHeaderBytes];
  for (std::vector<std::int64_t>* values : {&moments.sums_, &moments.products_}) {
    for (std::int64_t& value : *values) {
      value = LoadLittleEndian<std::int64_t>(in);
      in += sizeof(value);
    }
  }
  if (const auto problem = moments.Implausible()) damaged("is of no cells that can be: " + *problem);
  return moments;
}

std::uint64_t LatentMomentsBytes(std::uint32_t width) {
  return kHeaderBytes + sizeof(std::int64_t) * (std::uint64_t{width} + TriangleSize(width));
}

Digest WriteLatentMoments(FileSystem& files, const Path& path, const LatentMoments& moments) {
  const Bytes bytes = moments.Canonical();
  WriteFileAtomically(files, path, AsText(bytes));
  return Sha256Of(bytes);
}

LatentMoments ReadLatentMoments(const ReadableFile& file, std::uint32_t width) {
  CheckWidthItself(width);
  const std::uint64_t size = file.Size();
  if (size > LatentMomentsBytes(width)) {
    Fail("the file has " + std::to_string(size) + " bytes where latents of " + std::to_string(width) + " values take " +
         std::to_string(LatentMomentsBytes(width)));
  }
  Bytes bytes(size);
  if (file.ReadAt(0, bytes) != bytes.size()) Fail("the file became shorter while it was read");
  return LatentMoments::FromCanonical(bytes, width);
}

}  // namespace hemafed
