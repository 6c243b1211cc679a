# Language level, warnings, hardening and sanitizers, for every target of the suite.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  message(FATAL_ERROR
    "GCC ${CMAKE_CXX_COMPILER_VERSION} miscompiles coroutines (temporaries in co_await expressions are "
    "destroyed twice); use clang 16 or later, for example: cmake --preset release")
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES CXX)

add_library(postrider_warnings INTERFACE)
target_compile_options(postrider_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror)

add_compile_options(-fstack-protector-strong -fcf-protection=full -fno-omit-frame-pointer)
add_compile_definitions(_GLIBCXX_ASSERTIONS)
add_link_options(-fuse-ld=lld -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
if(POSTRIDER_SANITIZE)
  add_compile_options(-fsanitize=${POSTRIDER_SANITIZE} -fno-sanitize-recover=all -O1)
  add_link_options(-fsanitize=${POSTRIDER_SANITIZE})
  add_compile_definitions(POSTRIDER_SANITIZED=1)
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  # _FORTIFY_SOURCE needs an optimised build, and hides overflows from ASan.
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(POSTRIDER_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
