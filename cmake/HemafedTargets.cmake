# How a folder becomes a target: hemafed_library, hemafed_program, hemafed_test and hemafed_fuzzer.
# Targets carry their own settings; nothing goes into CMAKE_CXX_FLAGS.
include_guard()

set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # base_dir and hash_dir let checkouts in different folders share results; the sloppiness is what precompiled headers need.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE_PROGRAM})
endif()

add_library(hemafed_settings INTERFACE)  # Warnings and language level of our own code.
target_compile_features(hemafed_settings INTERFACE cxx_std_20)
target_compile_options(hemafed_settings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor
                       -Woverloaded-virtual -Werror
                       # Our structs have default member initializers; naming only the fields that differ is the idiom.
                       -Wno-missing-field-initializers
                       # No fused multiply-add: the same bits on every machine (docs/decisions.md).
                       -ffp-contract=off)
if(HEMAFED_SANITIZE)
  target_compile_options(hemafed_settings INTERFACE -fsanitize=${HEMAFED_SANITIZE} -fno-sanitize-recover=all
                         -fno-omit-frame-pointer)
  target_link_options(hemafed_settings INTERFACE -fsanitize=${HEMAFED_SANITIZE})
endif()

# hemafed_library(name SOURCES ... DEPS ...): target hemafed_<name>, alias hemafed::<name>.
function(hemafed_library name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPS")
  add_library(hemafed_${name} STATIC ${ARG_SOURCES})
  add_library(hemafed::${name} ALIAS hemafed_${name})
  target_include_directories(hemafed_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(hemafed_${name} PUBLIC ${ARG_DEPS} PRIVATE hemafed_settings)
endfunction()

# hemafed_program(hemafed-name SOURCES ... DEPS ...): a thin main over a library.
function(hemafed_program name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPS")
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} hemafed_settings)
endfunction()

# hemafed_test(name LABELS fast SOURCES ... DEPS ...): one GoogleTest program; each case is a ctest entry.
# PROPERTIES are passed on (TIMEOUT 120 ...). The sources of a folder share one program: linking costs more than compiling.
function(hemafed_test name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPS;LABELS;PROPERTIES")
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main hemafed_settings)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE
    HEMAFED_SOURCE_DIR="${PROJECT_SOURCE_DIR}" HEMAFED_BINARY_DIR="${PROJECT_BINARY_DIR}")
  include(GoogleTest)
  gtest_discover_tests(${name} NO_PRETTY_VALUES DISCOVERY_TIMEOUT 120
                       PROPERTIES LABELS "${ARG_LABELS}" ${ARG_PROPERTIES})
endfunction()

# hemafed_fuzzer(name SOURCES ... DEPS ...): a libFuzzer target under clang; with other compilers the same entry point is
# built into a program that replays files, so that the corpus in tests/data/ runs as a test everywhere.
# CORPUS names the folder of old samples.
function(hemafed_fuzzer name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "CORPUS" "SOURCES;DEPS")
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} hemafed_settings)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  if(HEMAFED_BUILD_FUZZERS)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz.${name} COMMAND ${name} -max_total_time=20 -max_len=65536 ${CMAKE_BINARY_DIR}/corpus/${name} ${ARG_CORPUS})
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/corpus/${name})
  else()
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    add_test(NAME corpus.${name} COMMAND ${name} ${ARG_CORPUS})
    set_tests_properties(corpus.${name} PROPERTIES LABELS fast)
  endif()
endfunction()
