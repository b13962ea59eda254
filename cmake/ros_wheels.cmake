# ROS 2 from Python wheels in a virtual environment; without effect where ROS comes from apt.

# The wheels' message packages export the include folders of the machine that built them, and
# CMake stops at an imported target whose include folder does not exist. Such folders are dropped;
# this package's own generated code finds Python and NumPy by itself.
function(polymorph_drop_missing_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    if(NOT target MATCHES "__rosidl_generator_py$")
      continue()
    endif()
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT folders)
      continue()
    endif()
    set(present "")
    foreach(folder IN LISTS folders)
      if(NOT IS_ABSOLUTE "${folder}" OR EXISTS "${folder}")
        list(APPEND present "${folder}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${present}")
  endforeach()
endfunction()

# The targets exist only once everything has been found, also by the generators: wait until then.
cmake_language(DEFER CALL polymorph_drop_missing_includes)
