# Leaves the C++ generators out of the rosidl_generate_interfaces() calls that
# follow. A checkout whose nodes are Python alone does not need them, and they
# are more than half of the build's time.
macro(selfgrasp_python_only)
  set(_skipped
    rosidl_generator_cpp
    rosidl_typesupport_cpp
    rosidl_typesupport_fastrtps_cpp
    rosidl_typesupport_introspection_cpp
  )
  list(JOIN _skipped "|" _skipped)
  list(FILTER AMENT_EXTENSIONS_rosidl_generate_idl_interfaces EXCLUDE REGEX "^(${_skipped}):")
endmacro()
