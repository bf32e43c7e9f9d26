! fortran08 ROUNDS [MILLISECONDS]: an MPI program with the module mpi_f08: typed handles and statuses, sentinels, an operation of the program, attributes, error handlers, again and again; prints "round N" at rank 0 after each and "ok" at the end.
module callbacks08
  use mpi_f08
  use, intrinsic :: iso_c_binding
  implicit none
  integer :: copied = 0, deleted = 0, handled = 0
contains
  subroutine largest(in, inout, n, t)
    type(c_ptr), value :: in, inout
    integer :: n, i, bytes
    type(MPI_Datatype) :: t
    integer, pointer :: a(:), b(:)
    call MPI_Type_size(t, bytes)
    call check(bytes == 4, 'the datatype of an operation')
    call c_f_pointer(in, a, [n])
    call c_f_pointer(inout, b, [n])
    do i = 1, n
      b(i) = max(a(i), b(i)) + 0 * a(i)
    end do
  end subroutine
  subroutine copyAttribute(comm, key, extra, in, out, flag, ierr)
    type(MPI_Comm) :: comm
    integer :: key, ierr
    integer(kind=MPI_ADDRESS_KIND) :: extra, in, out
    logical :: flag
    copied = copied + 1
    out = in + extra
    flag = .true.
    ierr = MPI_SUCCESS
  end subroutine
  subroutine deleteAttribute(comm, key, value, extra, ierr)
    type(MPI_Comm) :: comm
    integer :: key, ierr
    integer(kind=MPI_ADDRESS_KIND) :: value, extra
    deleted = deleted + 1
    ierr = MPI_SUCCESS
  end subroutine
  subroutine handler(comm, code)
    type(MPI_Comm) :: comm
    integer :: code, size
    call MPI_Comm_size(comm, size)
    handled = code
  end subroutine
  subroutine check(c, what)
    logical :: c
    character(len=*) :: what
    if (c) return
    print '(2a)', 'failed: ', what
    flush(6)
    call MPI_Abort(MPI_COMM_WORLD, 3)
  end subroutine
end module

program fortran08
  use callbacks08
  implicit none
  integer :: rank, size, right, left, round, rounds, pause, i, n, class, code, key, v, w, s
  integer, asynchronous :: a(30000), b(30000)
  integer(kind=MPI_ADDRESS_KIND) :: value
  real(8) :: until
  logical :: flag
  type(MPI_Comm) :: kept, copy, grid
  type(MPI_Op) :: op
  type(MPI_Request) :: q(2)
  type(MPI_Status) :: status
  type(MPI_Errhandler) :: handle
  type(MPI_Datatype) :: column
  character(len=20) :: word
  call MPI_Init()
  call MPI_Comm_rank(MPI_COMM_WORLD, rank)
  call MPI_Comm_size(MPI_COMM_WORLD, size)
  right = mod(rank + 1, size)
  left = mod(rank + size - 1, size)
  call get_command_argument(1, word)
  read (word, *) rounds
  pause = 0
  if (command_argument_count() > 1) then
    call get_command_argument(2, word)
    read (word, *) pause
  end if
  call MPI_Op_create(largest, .true., op)
  call MPI_Comm_dup(MPI_COMM_WORLD, kept)
  call MPI_Comm_create_keyval(copyAttribute, deleteAttribute, key, int(3, MPI_ADDRESS_KIND))
  call MPI_Comm_set_attr(kept, key, int(50 + rank, MPI_ADDRESS_KIND))
  call MPI_Comm_create_errhandler(handler, handle)
  call MPI_Comm_set_errhandler(kept, handle)
  do round = 0, rounds - 1
    v = rank * 100 + round
    call MPI_Sendrecv(v, 1, MPI_INTEGER, right, 1, w, 1, MPI_INTEGER, left, 1, MPI_COMM_WORLD, status)
    call MPI_Get_count(status, MPI_INTEGER, n)
    call check(w == left * 100 + round .and. status%MPI_SOURCE == left .and. status%MPI_TAG == 1 .and. n == 1, 'sendrecv')
    a = [(rank * 3 + i + round, i = 1, 30000)]
    call MPI_Irecv(b, 30000, MPI_INTEGER, MPI_ANY_SOURCE, 2, MPI_COMM_WORLD, q(1))
    call MPI_Isend(a, 30000, MPI_INTEGER, right, 2, MPI_COMM_WORLD, q(2))
    call MPI_Waitall(2, q, MPI_STATUSES_IGNORE)
    call check(all(b == [(left * 3 + i + round, i = 1, 30000)]) .and. q(1) == MPI_REQUEST_NULL, 'long')
    call MPI_Type_vector(100, 1, 100, MPI_INTEGER, column)
    call MPI_Type_commit(column)
    call MPI_Sendrecv(a(5:), 1, column, right, 3, b, 100, MPI_INTEGER, left, 3, MPI_COMM_WORLD, MPI_STATUS_IGNORE)
    call check(b(100) == left * 3 + 5 + 9900 + round, 'column')
    call MPI_Type_free(column)
    s = rank
    call MPI_Allreduce(MPI_IN_PLACE, s, 1, MPI_INTEGER, MPI_SUM, MPI_COMM_WORLD)
    call check(s == size * (size - 1) / 2, 'in place')
    call MPI_Allreduce(rank, s, 1, MPI_INTEGER, op, kept)
    call check(s == size - 1, 'operation of the program')
    call MPI_Comm_get_attr(kept, key, value, flag)
    call check(flag .and. value == 50 + rank, 'attribute')
    copied = 0
    deleted = 0
    call MPI_Comm_dup(kept, copy)
    call MPI_Comm_get_attr(copy, key, value, flag)
    call check(flag .and. value == 53 + rank .and. copied == 1, 'copied attribute')
    call MPI_Comm_free(copy)
    call check(deleted == 1 .and. copy == MPI_COMM_NULL, 'delete function')
    handled = 0
    call MPI_Send(v, 1, MPI_INTEGER, size, 0, kept, code)
    call MPI_Error_class(handled, class)
    call check(class == MPI_ERR_RANK, 'error handler')
    call MPI_Cart_create(MPI_COMM_WORLD, 1, [size], [.true.], .false., grid)
    call MPI_Cart_shift(grid, 0, 1, n, w)
    call check(n == left .and. w == right, 'shift')
    call MPI_Comm_free(grid)
    if (rank == 0) then
      print '(a,i0)', 'round ', round
      flush(6)
    end if
    until = MPI_Wtime() + pause / 1000.0d0
    do while (MPI_Wtime() < until)
      call MPI_Barrier(MPI_COMM_SELF)
    end do
  end do
  call MPI_Comm_free(kept)
  call MPI_Finalize()
  if (rank == 0) print '(a)', 'ok'
end program
