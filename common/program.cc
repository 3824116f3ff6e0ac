// SPDX-License-Identifier: Apache-2.0
#include "common/program.h"

#include <exception>
#include <iostream>

#include "common/error.h"

namespace hemafed {

int RunProgram(std::string_view program, const std::function<int()>& work) {
  try {
    return work();
  } catch (const Error& error) {
    std::cerr << program << ": " << error.what() << std::endl;
    return ExitStatus(error.code());
  } catch (const std::exception& error) {
    std::cerr << program << ": unexpected: " << error.what() << "; please report this" << std::endl;
    return ExitStatus(ErrorCode::kInternal);
  }
}

}  // namespace hemafed
