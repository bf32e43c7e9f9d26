using TreCr.Api;

return HelperProcess.Main(args);
