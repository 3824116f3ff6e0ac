// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/domain_features.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string_view>

#include "common/error.h"
#include "common/safetensors.h"
#include "learning/data/path_rules.h"

namespace hemafed::learning {

namespace {

constexpr const char* kFormatKey = "hemafed.features";
constexpr const char* kFormat = "1";
constexpr const char* kDomainKey = "hemafed.domain";
constexpr const char* kClassesKey = "hemafed.classes";
constexpr const char* kMadeFromKey = "hemafed.made_from";

[[noreturn]] void Fail(const std::string& where, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, where + ": " + problem);
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

const std::string& Metadata(const SafetensorsReader& reader, const char* key) {
  const auto found = reader.metadata().find(key);
  if (found == reader.metadata().end()) Fail(reader.where(), std::string("the metadata lack '") + key + "'");
  return found->second;
}

const TensorInfo& Expect(const SafetensorsReader& reader, const char* name, DType dtype, std::size_t dimensions) {
  const TensorInfo& tensor = reader.Require(name);
  if (tensor.dtype != dtype || tensor.shape.size() != dimensions)
    Fail(reader.where(), std::string("tensor '") + name + "' must be " + std::string(DTypeName(dtype)) + " with " +
                             std::to_string(dimensions) + " dimensions");
  return tensor;
}

template <typename T>
std::vector<T> ReadAll(const SafetensorsReader& reader, const TensorInfo& tensor) {
  std::vector<T> values(tensor.Values());
  reader.Read(tensor, 0, {reinterpret_cast<std::uint8_t*>(values.data()), tensor.bytes});
  return values;
}

template <typename T>
ByteView BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace

void RequireConsistent(const DomainFeatures& domain, const std::string& where) {
  if (!IsShortName(domain.domain)) Fail(where, "the domain's name is not plain");
  if (domain.classes.empty() || domain.classes.size() > kMaxFeatureClasses)
    Fail(where, "there must be 1 to " + std::to_string(kMaxFeatureClasses) + " classes");
  for (const std::string& name : domain.classes)
    if (!IsShortName(name)) Fail(where, "a class name is not plain");
  if (std::set<std::string>(domain.classes.begin(), domain.classes.end()).size() != domain.classes.size())
    Fail(where, "a class is named twice");
  if (domain.made_from.size() > kMaxMadeFromBytes) Fail(where, "'made_from' is too long");
  RequireUsable(domain.features, where);
  if (domain.labels.size() != domain.features.rows || domain.test.size() != domain.features.rows)
    Fail(where, "labels and split must have one entry a row");
  for (const std::uint32_t label : domain.labels)
    if (label >= domain.classes.size()) Fail(where, "a label is not among the classes");
  for (const std::uint8_t test : domain.test)
    if (test > 1) Fail(where, "an entry of the split is neither 0 nor 1");
}

void SaveFeatures(FileSystem& files, const Path& path, const DomainFeatures& domain) {
  RequireConsistent(domain, path.string());
  std::string classes;
  for (const std::string& name : domain.classes) classes += (classes.empty() ? "" : "\n") + name;
  const auto rows = static_cast<std::int64_t>(domain.features.rows);
  const auto columns = static_cast<std::int64_t>(domain.features.columns);
  const std::vector<TensorInfo> tensors = {{.name = "features", .dtype = DType::kF32, .shape = {rows, columns}},
                                           {.name = "labels", .dtype = DType::kI32, .shape = {rows}},
                                           {.name = "test", .dtype = DType::kU8, .shape = {rows}}};
  const Path unfinished = path.string() + ".tmp";
  SafetensorsWriter writer(
      files, unfinished, tensors,
      {{kFormatKey, kFormat}, {kDomainKey, domain.domain}, {kClassesKey, classes}, {kMadeFromKey, domain.made_from}});
  writer.Append("features", BytesOf(domain.features.values));
  writer.Append("labels", BytesOf(domain.labels));
  writer.Append("test", domain.test);
  (void)writer.Finish();
  files.Rename(unfinished, path);
  files.SyncDirectory(path.has_parent_path() ? path.parent_path() : Path("."));
}

DomainFeatures LoadFeatures(FileSystem& files, const Path& path) {
  const SafetensorsReader reader = SafetensorsReader::Open(files, path);
  if (Metadata(reader, kFormatKey) != kFormat)
    Fail(reader.where(), "a feature file of another version; make it again with this program");
  if (reader.tensors().size() != 3) Fail(reader.where(), "must hold the tensors features, labels and test, no others");
  const TensorInfo& features = Expect(reader, "features", DType::kF32, 2);
  const TensorInfo& labels = Expect(reader, "labels", DType::kI32, 1);
  const TensorInfo& test = Expect(reader, "test", DType::kU8, 1);
  // Before anything is reserved: what a hostile header may make us hold.
  if (features.Values() > kMaxFeatureValues || labels.Values() > kMaxFeatureRows || test.Values() > kMaxFeatureRows)
    Fail(reader.where(), "more values than a domain may have");
  DomainFeatures domain;
  domain.domain = Metadata(reader, kDomainKey);
  domain.classes = Lines(Metadata(reader, kClassesKey));
  domain.made_from = Metadata(reader, kMadeFromKey);
  domain.features.rows = static_cast<std::size_t>(features.shape[0]);
  domain.features.columns = static_cast<std::size_t>(features.shape[1]);
  domain.features.values = ReadAll<float>(reader, features);
  domain.labels = ReadAll<std::uint32_t>(reader, labels);  // A negative label is a large one, and refused as such.
  domain.test = ReadAll<std::uint8_t>(reader, test);
  RequireConsistent(domain, reader.where());
  return domain;
}

}  // namespace hemafed::learning
