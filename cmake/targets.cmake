# The kinds of targets there are. Each takes every .cpp of the calling folder but main.cpp.

# postrider_library(NAME LIBS...): a static library of this folder's sources.
function(postrider_library name)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE "${CMAKE_SOURCE_DIR}")
    target_link_libraries(${name} INTERFACE fmt::fmt tl::expected ${ARGN})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE postrider_warnings PUBLIC fmt::fmt tl::expected ${ARGN})
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${POSTRIDER_UNITY} UNITY_BUILD_BATCH_SIZE 10
    UNITY_BUILD_CODE_BEFORE_INCLUDE "// NOLINTNEXTLINE(bugprone-suspicious-include)")
endfunction()

# postrider_daemon(NAME LIBS...): an executable from this folder's main.cpp.
function(postrider_daemon name)
  add_executable(${name} "${CMAKE_CURRENT_SOURCE_DIR}/main.cpp")
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE postrider_warnings ${ARGN})
  install(TARGETS ${name} RUNTIME DESTINATION lib/postrider)
endfunction()

# postrider_unit_test(NAME LIBS...): this folder's *_test.cpp as one Catch2 program.
function(postrider_unit_test name)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp")
  add_executable(${name} ${sources})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE postrider_warnings unit_main ${ARGN})
  # Not the tests themselves but what they test is worth optimising; a third of the time to compile.
  target_compile_options(${name} PRIVATE -O0)
  add_test(NAME ${name} COMMAND ${name})
endfunction()

# postrider_fuzzer(NAME LIBS...): NAME.cpp as a libFuzzer program, its seeds in corpus/NAME/.
function(postrider_fuzzer name)
  add_executable(${name} "${CMAKE_CURRENT_SOURCE_DIR}/${name}.cpp")
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE postrider_warnings ${ARGN})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()
