! The calls of SCR's example test_ckpt in Fortran, in their order: says "restart N", writes N + 1, ends with "ok".
program test_ckpt
  implicit none
  include 'scrf.h'
  integer :: error, flag, valid, step, io
  character(len=SCR_MAX_FILENAME) :: name, path, file, value
  call SCR_CONFIG('SCR_COPY_TYPE=SINGLE', value, error)
  if (error /= SCR_SUCCESS) stop 1
  call SCR_CONFIG('SCR_CACHE_BYPASS=0', value, error)
  call SCR_CONFIG('SCR_COPY_TYPE', value, error)
  if (error /= SCR_SUCCESS .or. value /= 'SINGLE') stop 2
  call SCR_INIT(error)
  if (error /= SCR_SUCCESS) stop 3
  step = 0
  call SCR_HAVE_RESTART(flag, name, error)
  if (flag == 1) then
    call SCR_START_RESTART(name, error)
    call SCR_ROUTE_FILE('fortran.dat', file, error)
    valid = 0
    if (error == SCR_SUCCESS) then
      open(unit=10, file=trim(file), status='old', action='read', iostat=io)
      if (io == 0) read(10, *, iostat=io) step
      if (io == 0) valid = 1
      close(10)
    end if
    call SCR_COMPLETE_RESTART(valid, error)
    if (error /= SCR_SUCCESS) stop 4
  end if
  print '(a,i0)', 'restart ', step
  call SCR_NEED_CHECKPOINT(flag, error)
  if (error /= SCR_SUCCESS) stop 5
  write(path, '(a,i0)') 'step.', step + 1
  call SCR_START_OUTPUT(trim(path), SCR_FLAG_CHECKPOINT, error)
  if (error /= SCR_SUCCESS) stop 6
  call SCR_ROUTE_FILE('fortran.dat', file, error)
  open(unit=10, file=trim(file), status='replace', action='write')
  write(10, *) step + 1
  close(10)
  valid = 1
  call SCR_COMPLETE_OUTPUT(valid, error)
  if (error /= SCR_SUCCESS) stop 7
  call SCR_SHOULD_EXIT(flag, error)
  call SCR_FINALIZE(error)
  if (error /= SCR_SUCCESS) stop 8
  print '(a)', 'ok'
end program
