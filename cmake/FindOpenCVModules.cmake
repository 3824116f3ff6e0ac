# Finds single OpenCV 4 modules (core, imgproc, ...) and defines OpenCV::<module> for each component.
#
# Debian's OpenCVConfig.cmake lives in libopencv-dev, which pulls in every module with VTK and Qt behind them; this project
# uses four modules and installs only those.
find_path(OpenCVModules_INCLUDE_DIR opencv2/core.hpp PATH_SUFFIXES opencv4)
set(_opencv_required OpenCVModules_INCLUDE_DIR)
foreach(module IN LISTS OpenCVModules_FIND_COMPONENTS)
  find_library(OpenCVModules_${module}_LIBRARY opencv_${module})
  list(APPEND _opencv_required OpenCVModules_${module}_LIBRARY)
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCVModules REQUIRED_VARS ${_opencv_required}
  REASON_FAILURE_MESSAGE "Run scripts/setup.sh, which installs the OpenCV modules this project uses.")

if(OpenCVModules_FOUND)
  foreach(module IN LISTS OpenCVModules_FIND_COMPONENTS)
    if(NOT TARGET OpenCV::${module})
      add_library(OpenCV::${module} UNKNOWN IMPORTED)
      set_target_properties(OpenCV::${module} PROPERTIES IMPORTED_LOCATION ${OpenCVModules_${module}_LIBRARY})
      target_include_directories(OpenCV::${module} SYSTEM INTERFACE ${OpenCVModules_INCLUDE_DIR})
    endif()
  endforeach()
endif()
