# Finds LibTorch's C++ headers and libraries and defines LibTorch::LibTorch.
#
# LIBTORCH_DIR: a folder that holds include/ and lib/: the torch package inside a virtual environment, the LibTorch zip, or
# a CUDA wheel; 2.11 or newer. Default: the virtual environment that scripts/setup.sh makes.
#
# The wheel's own TorchConfig.cmake demands a CUDA toolkit where the wheel has CUDA; this module uses the libraries that
# are there and nothing else.
set(LIBTORCH_DIR "" CACHE PATH "Folder with LibTorch's include/ and lib/")
set(_libtorch_candidates ${LIBTORCH_DIR})
if(NOT LIBTORCH_DIR)
  file(GLOB _libtorch_candidates ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
endif()

find_path(LibTorch_INCLUDE_DIR torch/csrc/api/include/torch/torch.h PATHS ${_libtorch_candidates} PATH_SUFFIXES include
          NO_DEFAULT_PATH)
find_library(LibTorch_LIBRARY torch PATHS ${_libtorch_candidates} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(LibTorch_CPU_LIBRARY torch_cpu PATHS ${_libtorch_candidates} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 PATHS ${_libtorch_candidates} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(LibTorch_CUDA_LIBRARY torch_cuda PATHS ${_libtorch_candidates} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(LibTorch_C10_CUDA_LIBRARY c10_cuda PATHS ${_libtorch_candidates} PATH_SUFFIXES lib NO_DEFAULT_PATH)

if(LibTorch_INCLUDE_DIR AND EXISTS ${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h)
  set(_libtorch_version_file ${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h)
else()
  set(_libtorch_version_file ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include/torch/version.h)
endif()
if(EXISTS ${_libtorch_version_file})
  file(STRINGS ${_libtorch_version_file} _libtorch_version REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" _libtorch_version "${_libtorch_version}")
  list(JOIN _libtorch_version "." LibTorch_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_LIBRARY LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "Run scripts/setup.sh, or pass -DLIBTORCH_DIR=<folder with include/ and lib/>.")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE
    ${LibTorch_INCLUDE_DIR} ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include)
  set(_libtorch_link ${LibTorch_LIBRARY} ${LibTorch_CPU_LIBRARY} ${LibTorch_C10_LIBRARY})
  if(LibTorch_CUDA_LIBRARY AND LibTorch_C10_CUDA_LIBRARY)
    # Nothing refers to these by name; they register the device's kernels when they are loaded.
    list(APPEND _libtorch_link "-Wl,--no-as-needed" ${LibTorch_CUDA_LIBRARY} ${LibTorch_C10_CUDA_LIBRARY} "-Wl,--as-needed")
    # NVIDIA's libraries lie in other packages of the environment; these two find them at run time by a run path of their own.
    target_link_options(LibTorch::LibTorch INTERFACE "-Wl,--allow-shlib-undefined")
  endif()
  target_link_libraries(LibTorch::LibTorch INTERFACE ${_libtorch_link})
  get_filename_component(_libtorch_lib_dir ${LibTorch_CPU_LIBRARY} DIRECTORY)
  target_link_options(LibTorch::LibTorch INTERFACE "-Wl,-rpath,${_libtorch_lib_dir}")
endif()
