// tests/expect_error.h
// SPDX-License-Identifier: Apache-2.0
//
// EXPECT_ERROR(code, words, statement): the statement throws Error with that code and a message that contains `words`.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "common/error.h"

#define EXPECT_ERROR(expected_code, words, ...)                                                         \
  try {                                                                                                 \
    __VA_ARGS__;                                                                                        \
    ADD_FAILURE() << "no error from " #__VA_ARGS__;                                                     \
  } catch (const ::hemafed::Error& error) {                                                             \
    EXPECT_EQ(::hemafed::ErrorCodeName(error.code()), ::hemafed::ErrorCodeName(expected_code));         \
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << "message: " << error.what(); \
  }
