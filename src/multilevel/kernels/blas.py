"""SciPy's BLAS and LAPACK for the core: the addresses that its Cython interfaces export."""

from __future__ import annotations

import ctypes
from types import ModuleType

from scipy.linalg import cython_blas, cython_lapack

from multilevel.kernels import _core


def routine_address(module: ModuleType, name: str) -> int:
    """Address of a routine, read from the capsule SciPy exports for C callers."""
    capsule = module.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


def connect() -> None:
    """Hand SciPy's dense routines to the core."""
    _core.use_blas(
        potrf=routine_address(cython_lapack, "dpotrf"),
        trtri=routine_address(cython_lapack, "dtrtri"),
        trsm=routine_address(cython_blas, "dtrsm"),
        gemm=routine_address(cython_blas, "dgemm"),
    )
