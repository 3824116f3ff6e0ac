// common/safetensors.h
// SPDX-License-Identifier: Apache-2.0
//
// Reader and writer of safetensors files: named tensors that no program can be hidden in. Models, and nothing else, are
// stored so. The format (https://github.com/huggingface/safetensors): eight bytes little-endian header length, that
// many bytes of JSON, then the tensors' bytes, little-endian and row-major. docs/model_file.md has the grammar and the
// rules that this project adds.
//
// The reader takes every well-formed file of any writer, in constant memory beside the header. It refuses what the
// format forbids: gaps, overlaps, bytes beyond the last tensor, lengths that do not match shape and type, a name twice.
// The writer is canonical: the same tensors and metadata give the same bytes on every machine, so a model has one
// digest.
//
// Errors: kInvalidInput, naming file and tensor, for every malformed file and every misuse of the writer; otherwise
// those of FileSystem. Thread-safety: one reader or writer belongs to one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

// Largest header in bytes. A ResNeXt-50 needs 40 KB; the parsed form takes about ten times its text, which bounds what
// a hostile file can make us hold.
inline constexpr std::uint64_t kMaxSafetensorsHeaderBytes = 1 << 20;
inline constexpr std::size_t kMaxTensorNameBytes = 256;  // The longest of ours has 60.
inline constexpr std::size_t kMaxTensorDimensions = 8;   // Convolution weights have four.

enum class DType : std::uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kU8 };

// Bytes of one value.
[[nodiscard]] std::size_t DTypeBytes(DType dtype) noexcept;
// The format's own name: "F32", ...
[[nodiscard]] std::string_view DTypeName(DType dtype) noexcept;

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;  // Empty for a scalar.
  std::uint64_t offset = 0;         // Of the first byte, from the start of the file.
  std::uint64_t bytes = 0;

  [[nodiscard]] std::uint64_t Values() const { return bytes / DTypeBytes(dtype); }
};

class SafetensorsReader {
 public:
  // Reads and checks the header. `files` is used during the call only.
  [[nodiscard]] static SafetensorsReader Open(FileSystem& files, const Path& path);
  // The same for an open file; `where` names it in errors.
  SafetensorsReader(std::unique_ptr<ReadableFile> file, std::string where);

  // In ascending byte order of their names, whatever their order in the file.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // Null if there is none. The pointer lives as long as the reader.
  [[nodiscard]] const TensorInfo* Find(std::string_view name) const;
  // The same; throws kInvalidInput, naming file and tensor, if there is none.
  [[nodiscard]] const TensorInfo& Require(std::string_view name) const;
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
  [[nodiscard]] const std::string& where() const { return where_; }

  // Fills `out` with the tensor's bytes from byte `first_byte` on; the range must lie within the tensor.
  void Read(const TensorInfo& tensor, std::uint64_t first_byte, std::span<std::uint8_t> out) const;

 private:
  [[noreturn]] void Fail(const std::string& problem) const;
  void ParseHeader(std::string_view header, std::uint64_t data_start, std::uint64_t file_bytes);

  std::unique_ptr<ReadableFile> file_;
  std::string where_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Whether Finish waits for the disk. A file that is about to be named by digest must be synced; a scratch file need
// not.
enum class Durability : std::uint8_t { kSynced, kCached };

class SafetensorsWriter {
 public:
  // Creates the file and writes the header. Of `tensors` only name, dtype and shape are used, in any order; names must
  // be 1 to kMaxTensorNameBytes printable ASCII characters and differ. `files` is used during the call only.
  SafetensorsWriter(FileSystem& files, const Path& path, std::vector<TensorInfo> tensors,
                    const std::map<std::string, std::string>& metadata);

  // All tensors in the order in which their bytes are due: ascending byte order of names; offset and bytes filled in.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const { return tensors_; }

  // The next bytes of the tensor `name`, in pieces of any size. kInvalidInput if another tensor is due or its bytes end
  // before these do.
  void Append(std::string_view name, ByteView bytes);

  // SHA-256 of the whole file, after all bytes are written; kInvalidInput if some are missing. The name is the caller's
  // business: write beside the place, rename, SyncDirectory.
  [[nodiscard]] Digest Finish(Durability durability = Durability::kSynced);

 private:
  void SkipFilled();

  std::string where_;
  std::vector<TensorInfo> tensors_;
  std::unique_ptr<WritableFile> file_;
  Sha256 hash_;
  std::size_t due_ = 0;          // Index of the tensor whose bytes are due.
  std::uint64_t due_bytes_ = 0;  // Bytes of it that are still missing.
};

}  // namespace hemafed
