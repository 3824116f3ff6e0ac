// SPDX-License-Identifier: Apache-2.0
#include "common/safetensors.h"

#include <gtest/gtest.h>

#include <bit>
#include <numeric>
#include <utility>

#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::Scratch;

const Path kSample = Path(HEMAFED_SOURCE_DIR) / "tests/data/safetensors/python_small.safetensors";

class MemoryFile final : public ReadableFile {
 public:
  explicit MemoryFile(std::string content) : content_(std::move(content)) {}
  [[nodiscard]] std::size_t ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    if (offset >= content_.size()) return 0;
    return content_.copy(reinterpret_cast<char*>(out.data()), out.size(), offset);
  }
  [[nodiscard]] std::uint64_t Size() const override { return content_.size(); }

 private:
  std::string content_;
};

SafetensorsReader Parse(const std::string& content) { return {std::make_unique<MemoryFile>(content), "m.safetensors"}; }

std::string WithLength(const std::string& header, const std::string& data) {
  std::string length(8, '\0');
  StoreLittleEndian<std::uint64_t>(header.size(), reinterpret_cast<std::uint8_t*>(length.data()));
  return length + header + data;
}

Bytes ReadAll(const SafetensorsReader& reader, std::string_view name) {
  const TensorInfo& tensor = reader.Require(name);
  Bytes bytes(tensor.bytes);
  reader.Read(tensor, 0, bytes);
  return bytes;
}

TEST(SafetensorsReader, ReadsWhatThePythonPackageWrote) {
  const auto reader = SafetensorsReader::Open(RealFileSystem(), kSample);
  std::vector<std::string> names;
  for (const auto& tensor : reader.tensors()) names.push_back(tensor.name);
  EXPECT_EQ(names, (std::vector<std::string>{"bn.num_batches_tracked", "bytes", "conv.weight", "double", "empty",
                                             "half", "whole"}));
  EXPECT_EQ(reader.metadata(),
            (std::map<std::string, std::string>{{"made by", "safetensors for Python"}, {"umlaut", "ä"}}));
  const TensorInfo& conv = reader.Require("conv.weight");
  EXPECT_EQ(conv.dtype, DType::kF32);
  EXPECT_EQ(conv.shape, (std::vector<std::int64_t>{2, 3, 2, 2}));
  EXPECT_EQ(conv.Values(), 24u);
  const Bytes values = ReadAll(reader, "conv.weight");
  for (std::size_t i = 0; i < 24; ++i) {
    const auto value = std::bit_cast<float>(LoadLittleEndian<std::uint32_t>(&values[4 * i]));
    EXPECT_EQ(value, (static_cast<float>(i) - 11.5F) / 8) << i;
  }
  EXPECT_EQ(reader.Require("bn.num_batches_tracked").shape.size(), 0u);
  EXPECT_EQ(LoadLittleEndian<std::int64_t>(ReadAll(reader, "bn.num_batches_tracked").data()), 7);
  EXPECT_EQ(std::bit_cast<double>(LoadLittleEndian<std::uint64_t>(ReadAll(reader, "double").data())), 1.0 / 3);
  EXPECT_EQ(ReadAll(reader, "bytes"), (Bytes{0, 127, 255}));
  EXPECT_EQ(ReadAll(reader, "half"), (Bytes{0x00, 0x3e, 0x00, 0xb4}));
  EXPECT_EQ(ReadAll(reader, "whole"), (Bytes{0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0x7f}));
  EXPECT_EQ(reader.Require("empty").Values(), 0u);
}

TEST(SafetensorsReader, ReadsPartsAndRefusesToReadBeyondATensor) {
  const auto reader = SafetensorsReader::Open(RealFileSystem(), kSample);
  const TensorInfo& bytes = reader.Require("bytes");
  Bytes part(2);
  reader.Read(bytes, 1, part);
  EXPECT_EQ(part, (Bytes{127, 255}));
  EXPECT_ERROR(ErrorCode::kInternal, "beyond the end of tensor bytes", reader.Read(bytes, 2, part));
  EXPECT_EQ(reader.Find("byte"), nullptr);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "has no tensor byte", (void)reader.Require("byte"));
}

TEST(SafetensorsReader, RefusesTheSampleCutAtAnyByte) {
  const std::string whole = ReadFile(RealFileSystem(), kSample, 10'000);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "m.safetensors", (void)Parse(whole.substr(0, size)));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 bytes that belong to no tensor", (void)Parse(whole + "x"));
}

struct BadHeader {
  const char* name;
  std::string header;
  std::string data;
  std::string words;
};

class SafetensorsRefuses : public testing::TestWithParam<BadHeader> {};

TEST_P(SafetensorsRefuses, TheHeader) {
  const auto& row = GetParam();
  EXPECT_ERROR(ErrorCode::kInvalidInput, row.words, (void)Parse(WithLength(row.header, row.data)));
}

std::string Two(const std::string& a, const std::string& b) { return "{\"a\":" + a + ",\"b\":" + b + "}"; }
std::string Entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

INSTANTIATE_TEST_SUITE_P(
    Table, SafetensorsRefuses,
    testing::ValuesIn(std::vector<BadHeader>{
        {"NotJson", "{\"a\"}", "", "not JSON"},
        {"LeadingSpace", " {}", "", "one JSON object"},
        {"PaddingOtherThanSpaces", "{}\n", "", "one JSON object"},
        {"List", "[]", "", "one JSON object"},
        {"NameTwice", "{\"a\":" + Entry("U8", "[1]", "[0,1]") + ",\"a\":" + Entry("U8", "[1]", "[0,1]") + "}", "x",
         "'a' twice"},
        {"EmptyName", "{\"\":" + Entry("U8", "[1]", "[0,1]") + "}", "x", "name"},
        {"LongName", "{\"" + std::string(257, 'n') + "\":" + Entry("U8", "[1]", "[0,1]") + "}", "x", "name"},
        {"UnknownDtype", Two(Entry("C64", "[1]", "[0,8]"), Entry("U8", "[0]", "[8,8]")), "12345678", "dtype"},
        {"Overlap", Two(Entry("U8", "[2]", "[0,2]"), Entry("U8", "[2]", "[1,3]")), "xyz", "overlaps"},
        {"Gap", Two(Entry("U8", "[1]", "[0,1]"), Entry("U8", "[1]", "[2,3]")), "xyz", "gap before tensor b"},
        {"BytesBeyond", Two(Entry("U8", "[1]", "[0,1]"), Entry("U8", "[1]", "[1,2]")), "xyz", "belong to no tensor"},
        {"EndsEarly", Two(Entry("U8", "[1]", "[0,1]"), Entry("U8", "[2]", "[1,3]")), "xy", "ends within tensor b"},
        {"ReversedOffsets", Two(Entry("U8", "[1]", "[1,0]"), Entry("U8", "[1]", "[0,1]")), "x", "data_offsets"},
        {"NegativeSize", Two(Entry("U8", "[-1]", "[0,1]"), Entry("U8", "[1]", "[0,1]")), "x", "natural"},
        {"FractionalOffset", Two(Entry("U8", "[1]", "[0,1.0]"), Entry("U8", "[1]", "[0,1]")), "x", "natural"},
        {"ShapeAndBytesDiffer", Two(Entry("F32", "[2]", "[0,4]"), Entry("U8", "[0]", "[4,4]")), "1234", "shape"},
        {"ProductOverflows", Two(Entry("F32", "[4294967296,4294967296]", "[0,0]"), Entry("U8", "[0]", "[0,0]")), "",
         "shape"},
        {"TooManyDimensions", Two(Entry("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), Entry("U8", "[0]", "[1,1]")), "x",
         "at most 8"},
        {"MissingField", R"({"a":{"dtype":"U8","shape":[0]}})", "", "'data_offsets' is missing"},
        {"UnknownField", R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"code":"x"}})", "", "'code'"},
        {"TensorThatIsNoObject", R"({"a":3})", "", "not a JSON object"},
        {"MetadataOfNumbers", R"({"__metadata__":{"k":3}})", "", "metadata"},
    }),
    [](const auto& row) { return row.param.name; });

TEST(SafetensorsReader, RefusesAHugeHeaderBeforeReservingMemoryForIt) {
  std::string claim(8, '\xff');
  EXPECT_ERROR(ErrorCode::kInvalidInput, "claims a header of 18446744073709551615 bytes", (void)Parse(claim + "{}"));
  StoreLittleEndian<std::uint64_t>(kMaxSafetensorsHeaderBytes, reinterpret_cast<std::uint8_t*>(claim.data()));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "ends within its header", (void)Parse(claim + "{}"));
}

TEST(SafetensorsWriter, GivesTheSameBytesWhateverTheOrderOfDeclaration) {
  const Scratch scratch;
  std::vector<TensorInfo> tensors(3);
  tensors[0] = {.name = "b", .dtype = DType::kF32, .shape = {2}};
  tensors[1] = {.name = "a", .dtype = DType::kU8, .shape = {3}};
  tensors[2] = {.name = "B", .dtype = DType::kI64, .shape = {}};
  const auto write = [&](const std::string& name) {
    SafetensorsWriter writer(RealFileSystem(), scratch / name, tensors, {{"k", "v"}});
    EXPECT_EQ(writer.tensors()[0].name, "B");
    writer.Append("B", Bytes(8, 1));
    writer.Append("a", Bytes{1});
    writer.Append("a", Bytes{2, 3});
    writer.Append("b", Bytes(8, 9));
    return writer.Finish();
  };
  const Digest first = write("one");
  std::swap(tensors[0], tensors[2]);
  EXPECT_EQ(write("two"), first);
  const std::string content = ReadFile(RealFileSystem(), scratch / "two", 1000);
  EXPECT_EQ(Sha256Of(content), first);
  // The page docs/model_file.md shows these bytes.
  std::string header = R"({"B":{"data_offsets":[0,8],"dtype":"I64","shape":[]},"__metadata__":{"k":"v"},)"
                       R"("a":{"data_offsets":[8,11],"dtype":"U8","shape":[3]},)"
                       R"("b":{"data_offsets":[11,19],"dtype":"F32","shape":[2]}})";
  header.resize(192, ' ');
  EXPECT_EQ(content, WithLength(header, std::string(8, 1) + "\x01\x02\x03" + std::string(8, 9)));
}

TEST(SafetensorsWriter, WritesWhatTheReaderReads) {
  const Scratch scratch;
  const auto sample = SafetensorsReader::Open(RealFileSystem(), kSample);
  SafetensorsWriter writer(RealFileSystem(), scratch / "copy", sample.tensors(), sample.metadata());
  for (const auto& tensor : writer.tensors()) writer.Append(tensor.name, ReadAll(sample, tensor.name));
  (void)writer.Finish(Durability::kCached);
  const auto copy = SafetensorsReader::Open(RealFileSystem(), scratch / "copy");
  EXPECT_EQ(copy.metadata(), sample.metadata());
  ASSERT_EQ(copy.tensors().size(), sample.tensors().size());
  for (const auto& tensor : sample.tensors()) {
    EXPECT_EQ(copy.Require(tensor.name).dtype, tensor.dtype);
    EXPECT_EQ(copy.Require(tensor.name).shape, tensor.shape);
    EXPECT_EQ(ReadAll(copy, tensor.name), ReadAll(sample, tensor.name));
  }
}

TEST(SafetensorsWriter, RefusesMisuseNamingTheTensor) {
  const Scratch scratch;
  const auto writer_of = [&](std::vector<TensorInfo> tensors) {
    return SafetensorsWriter(RealFileSystem(), scratch / "x", std::move(tensors), {});
  };
  const TensorInfo a{.name = "a", .dtype = DType::kU8, .shape = {2}};
  const TensorInfo b{.name = "b", .dtype = DType::kU8, .shape = {2}};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'a' occurs twice", (void)writer_of({a, b, a}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'__metadata__'", (void)writer_of({{.name = "__metadata__", .shape = {1}}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'a'", (void)writer_of({{.name = "a", .shape = {-1}}}));
  auto writer = writer_of({a, b});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "of tensor b arrived where 2 of a", writer.Append("b", Bytes(2)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "3 bytes of tensor a", writer.Append("a", Bytes(3)));
  writer.Append("a", Bytes(2));
  writer.Append("b", Bytes(1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "tensor b still needs 1 bytes", (void)writer.Finish());
  writer.Append("b", Bytes(1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "where 0 of nothing", writer.Append("b", Bytes(1)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more than readers accept",
               SafetensorsWriter(RealFileSystem(), scratch / "x", {}, {{"k", std::string(2 << 20, 'v')}}));
}

}  // namespace
}  // namespace hemafed
