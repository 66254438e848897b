import java.util.Hashtable;
import javax.naming.NamingEnumeration;
import javax.naming.NamingException;
import javax.naming.directory.Attribute;
import javax.naming.directory.Attributes;
import javax.naming.directory.DirContext;
import javax.naming.directory.InitialDirContext;

/** `java Ask.java dns://HOST:PORT TYPE:NAME...`: a line for each, `TYPE:NAME`, `found` or the exception's class, the values; tabs between. */
class Ask {
    public static void main(String[] arguments) throws NamingException {
        Hashtable<String, String> environment = new Hashtable<>();
        environment.put("java.naming.factory.initial", "com.sun.jndi.dns.DnsContextFactory");
        environment.put("java.naming.provider.url", arguments[0]);
        environment.put("com.sun.jndi.dns.timeout.initial", "5000");
        environment.put("com.sun.jndi.dns.timeout.retries", "1");
        DirContext context = new InitialDirContext(environment);
        for (int index = 1; index < arguments.length; index++) {
            String[] question = arguments[index].split(":", 2);
            StringBuilder line = new StringBuilder(arguments[index]);
            try {
                Attributes attributes = context.getAttributes(question[1], new String[] {question[0]});
                line.append("\tfound");
                Attribute attribute = attributes.get(question[0]);
                if (attribute != null) {
                    NamingEnumeration<?> values = attribute.getAll();
                    while (values.hasMore()) {
                        line.append('\t').append(values.next());
                    }
                }
            } catch (NamingException error) {
                line.append('\t').append(error.getClass().getSimpleName());
            }
            System.out.println(line);
        }
    }
}
