// protocol/log/merkle.h
// SPDX-License-Identifier: Apache-2.0
//
// The Merkle tree of RFC 6962 section 2 with SHA-256, and the subtrees of draft-ietf-plants-merkle-tree-certs
// section 4. D[n] are n entries, k is the largest power of two below n:
//
//   MTH({}) = SHA-256("")      MTH({d}) = SHA-256(0x00 || d)
//   MTH(D[n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))
//
// A subtree [start, end) is one that MTH computes for some larger tree: start is a multiple of the smallest power of
// two that is at least end - start.
//
// Proofs are lists of hashes, lowest first. Making one needs only roots of perfect subtrees, which the caller supplies
// (tiles hold them); at most about 2 log2(size) of them are asked for. Verifying one needs no tree: time and depth are
// bounded by log2(size), whatever the proof holds, and a proof with a hash too few or too many is false.
//
// Errors: making a proof for an index or size outside the tree throws kInvalidInput; verifying never throws.
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "common/sha256.h"

namespace hemafed {

using MerkleProof = std::vector<Digest>;

// The root of the perfect subtree over entries [index * 2^level, (index + 1) * 2^level).
using PerfectSubtrees = std::function<Digest(unsigned level, std::uint64_t index)>;

[[nodiscard]] Digest EmptyRoot();
[[nodiscard]] Digest LeafHash(std::string_view entry);
[[nodiscard]] Digest NodeHash(const Digest& left, const Digest& right);

// MTH over `nodes` in the place of leaf hashes; EmptyRoot() for none. With perfect subtrees of one size, the last of
// which may be incomplete, this is the root over all of their entries.
[[nodiscard]] Digest CombineNodes(std::span<const Digest> nodes);

[[nodiscard]] Digest TreeRoot(std::uint64_t size, const PerfectSubtrees& subtrees);
// start < end, and a subtree as described above.
[[nodiscard]] Digest SubtreeRoot(std::uint64_t start, std::uint64_t end, const PerfectSubtrees& subtrees);

// index < size.
[[nodiscard]] MerkleProof InclusionProof(std::uint64_t index, std::uint64_t size, const PerfectSubtrees& subtrees);
// 0 < old_size <= size.
[[nodiscard]] MerkleProof ConsistencyProof(std::uint64_t old_size, std::uint64_t size, const PerfectSubtrees& subtrees);
// start <= index < end.
[[nodiscard]] MerkleProof SubtreeInclusionProof(std::uint64_t index, std::uint64_t start, std::uint64_t end,
                                                const PerfectSubtrees& subtrees);
// start < end <= size.
[[nodiscard]] MerkleProof SubtreeConsistencyProof(std::uint64_t start, std::uint64_t end, std::uint64_t size,
                                                  const PerfectSubtrees& subtrees);

[[nodiscard]] bool VerifyInclusion(std::uint64_t index, std::uint64_t size, const Digest& leaf,
                                   std::span<const Digest> proof, const Digest& root);
// False for old_size 0: an empty tree is consistent with every tree, and a proof of that would prove nothing.
[[nodiscard]] bool VerifyConsistency(std::uint64_t old_size, std::uint64_t size, std::span<const Digest> proof,
                                     const Digest& old_root, const Digest& root);
[[nodiscard]] bool VerifySubtreeInclusion(std::uint64_t index, std::uint64_t start, std::uint64_t end,
                                          const Digest& leaf, std::span<const Digest> proof, const Digest& root);
// An empty subtree (start == end <= size) holds with an empty proof and EmptyRoot(), for any tree root: as in the
// draft, it says nothing about the tree.
[[nodiscard]] bool VerifySubtreeConsistency(std::uint64_t start, std::uint64_t end, std::uint64_t size,
                                            std::span<const Digest> proof, const Digest& subtree_root,
                                            const Digest& root);

}  // namespace hemafed
