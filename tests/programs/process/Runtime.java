import java.io.*;
import java.security.SecureRandom;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

/** The Java virtual machine: compiled work, garbage, threads, a child process, until standard input ends. */
public class Runtime {
    static void check(boolean ok, String what) { if (!ok) { System.out.println("FAILED " + what); System.out.flush(); java.lang.Runtime.getRuntime().halt(1); } }
    static int hot(int n) { int s = 0; for (int i = 0; i < n; i++) s = s * 31 + i; return s; }
    public static void main(String[] a) throws Exception {
        byte[] b = new byte[4]; new SecureRandom().nextBytes(b); String nonce = String.format("%02x%02x%02x%02x", b[0], b[1], b[2], b[3]);
        Map<String, int[]> table = new HashMap<>(); for (int i = 0; i < 20000; i++) table.put(nonce + i, new int[] { i, i * i });
        AtomicBoolean over = new AtomicBoolean(); AtomicLong[] counts = new AtomicLong[4]; ExecutorService pool = Executors.newFixedThreadPool(4); int first = hot(100000);
        for (int t = 0; t < 4; t++) { AtomicLong c = counts[t] = new AtomicLong(); int id = t; pool.submit(() -> { do { check(hot(100000) == first, "hot loop"); byte[] junk = new byte[10000 + id]; junk[id] = 1; c.addAndGet(junk[id]); Thread.yield(); } while (!over.get()); }); }
        Process child = new ProcessBuilder("cat").start(); BufferedReader from = new BufferedReader(new InputStreamReader(child.getInputStream())); Writer to = new OutputStreamWriter(child.getOutputStream());
        System.out.println("ready " + nonce); long n = 0;
        while (System.in.available() == 0 && n < 4 || !ended()) { n++; to.write("line " + n + "\n"); to.flush(); check(from.readLine().equals("line " + n), "child"); int i = (int) (n * 7919 % 20000); int[] e = table.get(nonce + i); check(e[0] == i && e[1] == i * i, "table"); }
        over.set(true); pool.shutdown(); check(pool.awaitTermination(600, TimeUnit.SECONDS), "pool"); for (AtomicLong c : counts) check(c.get() > 0, "counts");
        to.close(); check(child.waitFor() == 0, "status"); System.out.println("done " + nonce); System.out.flush(); java.lang.Runtime.getRuntime().halt(0);
    }
    static volatile boolean eof; static Thread reader;
    static boolean ended() throws Exception { if (reader == null) { reader = new Thread(() -> { try { while (System.in.read() >= 0) { } } catch (IOException e) { } eof = true; }); reader.setDaemon(true); reader.start(); } Thread.sleep(2); return eof; }
}
