// SPDX-License-Identifier: Apache-2.0
//
// A file that went through scripts/import_weights.py (make_imported_detector.py) is a detector here.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "learning/features/detection/detector_file.h"

namespace hemafed::learning {
namespace {

TEST(ImportedDetector, HasTorchvisionsTensorsUnderTodaysNamesAndItsRules) {
  if (std::string(HEMAFED_IMPORTED_DETECTOR).empty()) GTEST_SKIP() << "no Python with torch at configure time";
  const Detector detector = LoadDetector(RealFileSystem(), HEMAFED_IMPORTED_DETECTOR);
  DetectorSettings want = TorchvisionDetector(DetectorBody::kResNet50);
  want.classes = 5;
  EXPECT_EQ(DetectorSettingsText(detector.settings()), DetectorSettingsText(want));
  ASSERT_EQ(detector.tensors().size(), 5u * 53 + 42);
  for (std::size_t k = 0; k < detector.tensors().size(); ++k) {
    const NamedTensor& tensor = detector.tensors()[k];
    const at::Tensor e = at::arange(tensor.value.numel(), at::kLong) % 1000;
    ASSERT_TRUE(at::equal(tensor.value.view({-1}), ((e + static_cast<std::int64_t>(k)) / 1024.0).to(at::kFloat)))
        << tensor.name;
  }
}

}  // namespace
}  // namespace hemafed::learning
