"""SciPy's LAPACK for the core: the addresses that `scipy.linalg.cython_lapack` exports."""

from __future__ import annotations

import ctypes

from scipy.linalg import cython_lapack

from multilevel.kernels import _core


def routine_address(name: str) -> int:
    """Address of a LAPACK routine, read from the capsule SciPy exports for C callers."""
    capsule = cython_lapack.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


def connect() -> None:
    """Hand SciPy's dense factorisations to the core."""
    _core.use_lapack(routine_address("dpotrf"), routine_address("dtrtri"), routine_address("dlauum"))
