! fortran ROUNDS [MILLISECONDS]: an MPI program in Fortran, with mpif.h (-DMPIF) or the module mpi: messages, sentinels, user operations, attributes, error handlers, derived types, again and again; prints "round N" at rank 0 after each and "ok" at the end.
module callbacks
#ifndef MPIF
  use mpi
#endif
  implicit none
#ifdef MPIF
  include 'mpif.h'
#endif
  integer :: copied = 0, deleted = 0, handled = 0, operations = 0
contains
  ! 2 x 2 products: associative, not commutative; the datatype must be ours
  subroutine matrix(a, b, n, t)
    integer :: n, t, i, bytes, ierr
    integer :: a(4, n), b(4, n), c(4)
    operations = operations + 1
    call MPI_Type_size(t, bytes, ierr)
    if (bytes /= 16) call fail('the datatype of an operation')
    do i = 1, n
      c = (/ a(1, i) * b(1, i) + a(2, i) * b(3, i), a(1, i) * b(2, i) + a(2, i) * b(4, i), a(3, i) * b(1, i) + a(4, i) * b(3, i), a(3, i) * b(2, i) + a(4, i) * b(4, i) /)
      b(:, i) = mod(c, 9973)
    end do
  end subroutine
  subroutine copyAttribute(comm, key, extra, in, out, flag, ierr)
    integer :: comm, key, ierr
    integer(kind=MPI_ADDRESS_KIND) :: extra, in, out
    logical :: flag
    copied = copied + 1
    out = in + extra
    flag = .true.
    ierr = MPI_SUCCESS
  end subroutine
  subroutine deleteAttribute(comm, key, value, extra, ierr)
    integer :: comm, key, ierr
    integer(kind=MPI_ADDRESS_KIND) :: value, extra
    deleted = deleted + 1
    ierr = MPI_SUCCESS
  end subroutine
  subroutine oldCopy(comm, key, extra, in, out, flag, ierr)
    integer :: comm, key, extra, in, out, ierr
    logical :: flag
    out = in * 2 + extra
    flag = .true.
    ierr = MPI_SUCCESS
  end subroutine
  subroutine oldDelete(comm, key, value, extra, ierr)
    integer :: comm, key, value, extra, ierr
    deleted = deleted + 1
    ierr = MPI_SUCCESS
  end subroutine
  subroutine handler(comm, code)
    integer :: comm, code, size, ierr
    call MPI_Comm_size(comm, size, ierr)
    if (ierr == MPI_SUCCESS) handled = code
  end subroutine
  subroutine query(extra, status, ierr)
    integer(kind=MPI_ADDRESS_KIND) :: extra
    integer :: status(MPI_STATUS_SIZE), ierr
    call MPI_Status_set_elements(status, MPI_INTEGER, int(extra), ierr)
    call MPI_Status_set_cancelled(status, .false., ierr)
    status(MPI_SOURCE) = 3
    status(MPI_TAG) = 4
    ierr = MPI_SUCCESS
  end subroutine
  subroutine release(extra, ierr)
    integer(kind=MPI_ADDRESS_KIND) :: extra
    integer :: ierr
    deleted = deleted + 1
    ierr = MPI_SUCCESS
  end subroutine
  subroutine cancel(extra, complete, ierr)
    integer(kind=MPI_ADDRESS_KIND) :: extra
    logical :: complete
    integer :: ierr
    ierr = MPI_SUCCESS
  end subroutine
  subroutine fail(what)
    character(len=*) :: what
    integer :: ierr
    print '(2a)', 'failed: ', what
    flush(6)
    call MPI_Abort(MPI_COMM_WORLD, 3, ierr)
  end subroutine
  subroutine check(c, what)
    logical :: c
    character(len=*) :: what
    if (.not. c) call fail(what)
  end subroutine
end module

program fortran
  use callbacks
#ifndef MPIF
  use mpi
#endif
  implicit none
  integer :: rank, size, right, left, ierr, round, rounds, pause, i, n, r, class, key, oldKey
  integer :: kept, handle, four, op, comm, copy, typeKey, kind
  character(len=20) :: word
  call MPI_Init(ierr)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, ierr)
  call MPI_Comm_size(MPI_COMM_WORLD, size, ierr)
  right = mod(rank + 1, size)
  left = mod(rank + size - 1, size)
  call get_command_argument(1, word)
  read (word, *) rounds
  pause = 0
  if (command_argument_count() > 1) then
    call get_command_argument(2, word)
    read (word, *) pause
  end if
  ! made once and used in every round
  call MPI_Type_contiguous(4, MPI_INTEGER, four, ierr)
  call MPI_Type_commit(four, ierr)
  call MPI_Op_create(matrix, .false., op, ierr)
  call MPI_Comm_dup(MPI_COMM_WORLD, kept, ierr)
  call MPI_Comm_create_keyval(copyAttribute, deleteAttribute, key, int(7, MPI_ADDRESS_KIND), ierr)
  call MPI_Keyval_create(oldCopy, oldDelete, oldKey, 5, ierr)
  call MPI_Comm_set_attr(kept, key, int(100 + rank, MPI_ADDRESS_KIND), ierr)
  call MPI_Attr_put(kept, oldKey, 20 + rank, ierr)
  call MPI_Comm_create_errhandler(handler, handle, ierr)
  call MPI_Comm_set_errhandler(kept, handle, ierr)
  do round = 0, rounds - 1
    call messages()
    call collectives()
    call attributes()
    call rest()
    if (rank == 0) then
      print '(a,i0)', 'round ', round
      flush(6)
    end if
    if (pause > 0) call rest_a_while()
  end do
  call MPI_Comm_free(kept, ierr)
  call MPI_Op_free(op, ierr)
  call check(op == MPI_OP_NULL, 'op null')
  call MPI_Type_free(four, ierr)
  call MPI_Errhandler_free(handle, ierr)
  call MPI_Finalize(ierr)
  if (rank == 0) print '(a)', 'ok'
contains
  subroutine messages()
    integer :: v, w, status(MPI_STATUS_SIZE), statuses(MPI_STATUS_SIZE, 2), q(2), a(30000), b(30000), block(2), types(2), made, one
    integer(kind=MPI_ADDRESS_KIND) :: place(2)
    logical :: flag
    v = rank * 100 + round
    w = -1
    call MPI_Sendrecv(v, 1, MPI_INTEGER, right, 1, w, 1, MPI_INTEGER, left, 1, MPI_COMM_WORLD, status, ierr)
    call check(w == left * 100 + round .and. status(MPI_SOURCE) == left .and. status(MPI_TAG) == 1, 'sendrecv')
    call MPI_Get_count(status, MPI_INTEGER, n, ierr)
    call check(n == 1, 'count')
    a = (/ (rank * 7 + i + round, i = 1, 30000) /)
    call MPI_Irecv(b, 30000, MPI_INTEGER, MPI_ANY_SOURCE, 2, MPI_COMM_WORLD, q(1), ierr)
    call MPI_Isend(a, 30000, MPI_INTEGER, right, 2, MPI_COMM_WORLD, q(2), ierr)
    call MPI_Waitall(2, q, statuses, ierr)
    call check(all(b == (/ (left * 7 + i + round, i = 1, 30000) /)) .and. statuses(MPI_SOURCE, 1) == left .and. q(1) == MPI_REQUEST_NULL, 'long')
    call MPI_Isend(a, 5, MPI_INTEGER, right, 3, MPI_COMM_WORLD, q(1), ierr)
    call MPI_Recv(b, 5, MPI_INTEGER, left, 3, MPI_COMM_WORLD, MPI_STATUS_IGNORE, ierr)
    call MPI_Waitall(1, q, MPI_STATUSES_IGNORE, ierr)
    call MPI_Recv(b, 1, MPI_INTEGER, MPI_PROC_NULL, 3, MPI_COMM_WORLD, status, ierr)
    call check(status(MPI_SOURCE) == MPI_PROC_NULL, 'nobody')
    ! absolute addresses
    block = (/ 1, 3 /)
    types = (/ MPI_INTEGER, MPI_INTEGER /)
    call MPI_Get_address(v, place(1), ierr)
    call MPI_Get_address(a(10), place(2), ierr)
    call MPI_Type_create_struct(2, block, place, types, made, ierr)
    call MPI_Type_commit(made, ierr)
    call MPI_Isend(MPI_BOTTOM, 1, made, right, 4, MPI_COMM_WORLD, q(1), ierr)
    call MPI_Recv(b, 4, MPI_INTEGER, left, 4, MPI_COMM_WORLD, MPI_STATUS_IGNORE, ierr)
    call MPI_Wait(q(1), MPI_STATUS_IGNORE, ierr)
    call check(b(1) == left * 100 + round .and. b(2) == left * 7 + 10 + round, 'bottom')
    call MPI_Type_free(made, ierr)
    call MPI_Iprobe(left, 99, MPI_COMM_WORLD, flag, status, ierr)
    call check(.not. flag, 'iprobe')
  end subroutine
  subroutine collectives()
    integer :: x(3), s(3), mine(4), product(4), want(4), next(4), before
    real(8) :: d
    real(16) :: q
    x = (/ rank, 2 * rank, round /)
    call MPI_Allreduce(MPI_IN_PLACE, x, 3, MPI_INTEGER, MPI_SUM, MPI_COMM_WORLD, ierr)
    call check(x(1) == size * (size - 1) / 2 .and. x(3) == size * round, 'in place')
    d = rank + 0.5d0
    call MPI_Allreduce(MPI_IN_PLACE, d, 1, MPI_DOUBLE_PRECISION, MPI_MAX, kept, ierr)
    call check(d == size - 0.5d0, 'max')
    q = 1.0_16 / 3 + rank
    call MPI_Allreduce(MPI_IN_PLACE, q, 1, MPI_REAL16, MPI_MIN, kept, ierr)
    call check(q == 1.0_16 / 3, 'min of real(16)')
    q = 2.0_16**(-100) + rank
    call MPI_Allreduce(MPI_IN_PLACE, q, 1, MPI_REAL16, MPI_SUM, kept, ierr)
    call check(q == size * 2.0_16**(-100) + size * (size - 1) / 2, 'sum of real(16)')
    mine = (/ 1, rank + 1, 0, 1 + mod(rank, 2) /)
    before = operations
    call MPI_Allreduce(mine, product, 1, four, op, kept, ierr)
    want = (/ 1, 0, 0, 1 /)
    do r = 0, size - 1
      next = (/ 1, r + 1, 0, 1 + mod(r, 2) /)
      want = (/ mod(want(1) * next(1) + want(2) * next(3), 9973), mod(want(1) * next(2) + want(2) * next(4), 9973), mod(want(3) * next(1) + want(4) * next(3), 9973), mod(want(3) * next(2) + want(4) * next(4), 9973) /)
    end do
    call check(all(product == want), 'operation of the program')
    call MPI_Bcast(round, 1, MPI_INTEGER, size - 1, MPI_COMM_WORLD, ierr)
    call MPI_Barrier(MPI_COMM_WORLD, ierr)
  end subroutine
  subroutine attributes()
    integer(kind=MPI_ADDRESS_KIND) :: value, bound
    integer :: old, deletedBefore, code
    logical :: flag
    call MPI_Comm_get_attr(kept, key, value, flag, ierr)
    call check(flag .and. value == 100 + rank, 'attribute')
    call MPI_Attr_get(kept, oldKey, old, flag, ierr)
    call check(flag .and. old == 20 + rank, 'old attribute')
    call MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, bound, flag, ierr)
    call check(flag .and. bound >= 32767, 'tag bound')
    copied = 0
    deletedBefore = deleted
    call MPI_Comm_dup(kept, copy, ierr)
    call MPI_Comm_get_attr(copy, key, value, flag, ierr)
    call check(flag .and. value == 107 + rank .and. copied == 1, 'copied attribute')
    call MPI_Attr_get(copy, oldKey, old, flag, ierr)
    call check(flag .and. old == 45 + 2 * rank, 'copied old attribute')
    call MPI_Comm_delete_attr(copy, key, ierr)
    call MPI_Comm_get_attr(copy, key, value, flag, ierr)
    call check(.not. flag, 'deleted attribute')
    call MPI_Comm_free(copy, ierr)
    call check(copy == MPI_COMM_NULL .and. deleted == deletedBefore + 2, 'delete functions')
    handled = 0
    call MPI_Send(value, 1, MPI_INTEGER, size, 0, kept, code)
    call MPI_Error_class(handled, class, ierr)
    call check(class == MPI_ERR_RANK .and. handled == code, 'error handler')
    call MPI_Type_create_keyval(MPI_TYPE_DUP_FN, MPI_TYPE_NULL_DELETE_FN, typeKey, int(0, MPI_ADDRESS_KIND), ierr)
    call MPI_Type_set_attr(four, typeKey, int(rank + 9, MPI_ADDRESS_KIND), ierr)
    call MPI_Type_dup(four, n, ierr)
    call MPI_Type_get_attr(n, typeKey, value, flag, ierr)
    call check(flag .and. value == rank + 9, 'attribute of a type')
    call MPI_Type_free(n, ierr)
    call MPI_Type_free_keyval(typeKey, ierr)
  end subroutine
  subroutine rest()
    integer :: request, status(MPI_STATUS_SIZE), t, bytes, length
    character(len=MPI_MAX_ERROR_STRING) :: text
    logical :: flag
    call MPI_Grequest_start(query, release, cancel, int(5, MPI_ADDRESS_KIND), request, ierr)
    call MPI_Test(request, flag, status, ierr)
    call check(.not. flag, 'not complete yet')
    call MPI_Grequest_complete(request, ierr)
    call MPI_Wait(request, status, ierr)
    call MPI_Get_count(status, MPI_INTEGER, n, ierr)
    call check(n == 5 .and. status(MPI_TAG) == 4, 'generalized request')
    call MPI_Type_match_size(MPI_TYPECLASS_REAL, 8, t, ierr)
    call MPI_Type_size(t, bytes, ierr)
    call check(bytes == 8, 'match size')
    call MPI_Type_create_f90_real(15, 307, t, ierr)
    call MPI_Type_size(t, bytes, ierr)
    call check(bytes == 8, 'f90 real')
    call MPI_Error_string(MPI_ERR_RANK, text, length, ierr)
    call check(length > 0, 'error string')
    call MPI_Comm_split(MPI_COMM_WORLD, mod(rank, 2), rank, comm, ierr)
    call MPI_Comm_rank(comm, r, ierr)
    call check(r == rank / 2, 'split')
    call MPI_Comm_free(comm, ierr)
  end subroutine
  subroutine rest_a_while()
    real(8) :: until
    until = MPI_Wtime() + pause / 1000.0d0
    do while (MPI_Wtime() < until)
      call MPI_Barrier(MPI_COMM_SELF, ierr)
    end do
  end subroutine
end program
