// protocol/log/merkle.cc
// SPDX-License-Identifier: Apache-2.0
//
// Making and verifying walk the same recursion from the root down, as RFC 6962 section 2.1 and the draft state it; the
// last hash of a proof belongs to the level below the root. 64-bit sizes bound the depth to 64.
#include "protocol/log/merkle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <string>
#include <utility>

#include "common/error.h"

namespace hemafed {

namespace {

// The largest power of two below `size`, which is at least 2.
std::uint64_t SplitOf(std::uint64_t size) { return std::bit_floor(size - 1); }

bool IsSubtree(std::uint64_t start, std::uint64_t end) {
  if (start >= end) return false;
  const std::uint64_t length = end - start;
  if (length > std::uint64_t{1} << 63) return start == 0;  // Its power of two is 2^64.
  return start % std::bit_ceil(length) == 0;
}

void RequireSubtree(std::uint64_t start, std::uint64_t end) {
  if (IsSubtree(start, end)) return;
  throw Error(ErrorCode::kInvalidInput, "entries " + std::to_string(start) + " to " + std::to_string(end) +
                                            " are not a subtree of a Merkle tree");
}

// Appends PATH(index, D[start:end]).
void AppendPath(MerkleProof& proof, std::uint64_t index, std::uint64_t start, std::uint64_t end,
                const PerfectSubtrees& subtrees) {
  if (end - start == 1) return;
  const std::uint64_t middle = start + SplitOf(end - start);
  if (index < middle) {
    AppendPath(proof, index, start, middle, subtrees);
    proof.push_back(SubtreeRoot(middle, end, subtrees));
  } else {
    AppendPath(proof, index, middle, end, subtrees);
    proof.push_back(SubtreeRoot(start, middle, subtrees));
  }
}

// Appends SUBTREE_SUBPROOF for [start, end) within the tree over [from, to). `whole`: what lies here is the subtree
// itself, whose root the verifier has.
void AppendSubproof(MerkleProof& proof, std::uint64_t start, std::uint64_t end, std::uint64_t from, std::uint64_t to,
                    bool whole, const PerfectSubtrees& subtrees) {
  if (start == from && end == to) {
    if (!whole) proof.push_back(SubtreeRoot(from, to, subtrees));
    return;
  }
  const std::uint64_t middle = from + SplitOf(to - from);
  if (end <= middle) {
    AppendSubproof(proof, start, end, from, middle, whole, subtrees);
    proof.push_back(SubtreeRoot(middle, to, subtrees));
  } else if (start >= middle) {
    AppendSubproof(proof, start, end, middle, to, whole, subtrees);
    proof.push_back(SubtreeRoot(from, middle, subtrees));
  } else {
    AppendSubproof(proof, middle, end, middle, to, false, subtrees);
    proof.push_back(SubtreeRoot(from, middle, subtrees));
  }
}

// The root that a path leads to, or nothing if it has the wrong length.
std::optional<Digest> RootOfPath(std::uint64_t index, std::uint64_t size, const Digest& leaf,
                                 std::span<const Digest> proof) {
  if (size == 1) return proof.empty() ? std::optional(leaf) : std::nullopt;
  if (proof.empty()) return std::nullopt;
  const Digest& sibling = proof.back();
  const auto below = proof.first(proof.size() - 1);
  const std::uint64_t split = SplitOf(size);
  if (index < split) {
    const auto left = RootOfPath(index, split, leaf, below);
    return left ? std::optional(NodeHash(*left, sibling)) : std::nullopt;
  }
  const auto right = RootOfPath(index - split, size - split, leaf, below);
  return right ? std::optional(NodeHash(sibling, *right)) : std::nullopt;
}

struct TwoRoots {
  Digest subtree;
  Digest tree;
};

// Both roots that a consistency proof leads to, for [start, end) in a tree of `size`; `whole` as in AppendSubproof.
std::optional<TwoRoots> RootsOfSubproof(std::uint64_t start, std::uint64_t end, std::uint64_t size, bool whole,
                                        const Digest& subtree_root, std::span<const Digest> proof) {
  if (start == 0 && end == size) {
    if (proof.size() != (whole ? 0u : 1u)) return std::nullopt;
    const Digest& root = whole ? subtree_root : proof.front();
    return TwoRoots{root, root};
  }
  if (proof.empty()) return std::nullopt;
  const Digest& sibling = proof.back();
  const auto below = proof.first(proof.size() - 1);
  const std::uint64_t split = SplitOf(size);
  std::optional<TwoRoots> roots;
  if (end <= split) {
    roots = RootsOfSubproof(start, end, split, whole, subtree_root, below);
    if (roots) roots->tree = NodeHash(roots->tree, sibling);
  } else if (start >= split) {
    roots = RootsOfSubproof(start - split, end - split, size - split, whole, subtree_root, below);
    if (roots) roots->tree = NodeHash(sibling, roots->tree);
  } else {  // A subtree over the split begins at 0.
    roots = RootsOfSubproof(0, end - split, size - split, false, subtree_root, below);
    if (roots) roots = TwoRoots{NodeHash(sibling, roots->subtree), NodeHash(sibling, roots->tree)};
  }
  return roots;
}

}  // namespace

Digest EmptyRoot() { return Sha256Of(ByteView{}); }

Digest LeafHash(std::string_view entry) {
  constexpr std::array<std::uint8_t, 1> kLeafPrefix{0};
  return Sha256().Update(kLeafPrefix).Update(entry).Finish();
}

Digest NodeHash(const Digest& left, const Digest& right) {
  std::array<std::uint8_t, 65> bytes;
  bytes[0] = 1;
  std::copy(left.bytes.begin(), left.bytes.end(), bytes.begin() + 1);
  std::copy(right.bytes.begin(), right.bytes.end(), bytes.begin() + 33);
  return Sha256Of(bytes);
}

Digest CombineNodes(std::span<const Digest> nodes) {
  if (nodes.empty()) return EmptyRoot();
  if (nodes.size() == 1) return nodes.front();
  const std::size_t split = SplitOf(nodes.size());
  return NodeHash(CombineNodes(nodes.first(split)), CombineNodes(nodes.subspan(split)));
}

Digest SubtreeRoot(std::uint64_t start, std::uint64_t end, const PerfectSubtrees& subtrees) {
  RequireSubtree(start, end);
  const std::uint64_t size = end - start;
  if (std::has_single_bit(size)) {
    const auto level = static_cast<unsigned>(std::countr_zero(size));
    return subtrees(level, start >> level);
  }
  const std::uint64_t middle = start + SplitOf(size);
  return NodeHash(SubtreeRoot(start, middle, subtrees), SubtreeRoot(middle, end, subtrees));
}

Digest TreeRoot(std::uint64_t size, const PerfectSubtrees& subtrees) {
  return size == 0 ? EmptyRoot() : SubtreeRoot(0, size, subtrees);
}

MerkleProof SubtreeInclusionProof(std::uint64_t index, std::uint64_t start, std::uint64_t end,
                                  const PerfectSubtrees& subtrees) {
  RequireSubtree(start, end);
  if (index < start || index >= end) {
    throw Error(ErrorCode::kInvalidInput, "there is no entry " + std::to_string(index) + " among entries " +
                                              std::to_string(start) + " to " + std::to_string(end - 1));
  }
  MerkleProof proof;
  AppendPath(proof, index, start, end, subtrees);
  return proof;
}

MerkleProof InclusionProof(std::uint64_t index, std::uint64_t size, const PerfectSubtrees& subtrees) {
  if (index >= size) {
    throw Error(ErrorCode::kInvalidInput,
                "there is no entry " + std::to_string(index) + " in a log of " + std::to_string(size) + " entries");
  }
  return SubtreeInclusionProof(index, 0, size, subtrees);
}

MerkleProof SubtreeConsistencyProof(std::uint64_t start, std::uint64_t end, std::uint64_t size,
                                    const PerfectSubtrees& subtrees) {
  RequireSubtree(start, end);
  if (end > size) {
    throw Error(ErrorCode::kInvalidInput, "a log of " + std::to_string(size) + " entries has no older state of " +
                                              std::to_string(end) + " entries");
  }
  MerkleProof proof;
  AppendSubproof(proof, start, end, 0, size, true, subtrees);
  return proof;
}

MerkleProof ConsistencyProof(std::uint64_t old_size, std::uint64_t size, const PerfectSubtrees& subtrees) {
  if (old_size == 0)
    throw Error(ErrorCode::kInvalidInput, "every log is consistent with an empty one; there is no proof");
  return SubtreeConsistencyProof(0, old_size, size, subtrees);
}

bool VerifyInclusion(std::uint64_t index, std::uint64_t size, const Digest& leaf, std::span<const Digest> proof,
                     const Digest& root) {
  return index < size && RootOfPath(index, size, leaf, proof) == root;
}

bool VerifySubtreeInclusion(std::uint64_t index, std::uint64_t start, std::uint64_t end, const Digest& leaf,
                            std::span<const Digest> proof, const Digest& root) {
  if (!IsSubtree(start, end) || index < start) return false;
  return VerifyInclusion(index - start, end - start, leaf, proof, root);
}

bool VerifyConsistency(std::uint64_t old_size, std::uint64_t size, std::span<const Digest> proof,
                       const Digest& old_root, const Digest& root) {
  return old_size > 0 && VerifySubtreeConsistency(0, old_size, size, proof, old_root, root);
}

bool VerifySubtreeConsistency(std::uint64_t start, std::uint64_t end, std::uint64_t size, std::span<const Digest> proof,
                              const Digest& subtree_root, const Digest& root) {
  if (end > size) return false;
  if (start == end) return proof.empty() && subtree_root == EmptyRoot();
  if (!IsSubtree(start, end)) return false;
  const auto roots = RootsOfSubproof(start, end, size, true, subtree_root, proof);
  return roots && roots->subtree == subtree_root && roots->tree == root;
}

}  // namespace hemafed
